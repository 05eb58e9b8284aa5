"""T12: for each setting the tests that show it does something. Read and held by `test_index`."""

REACH = "settings/test_reach.py"
POLICIES = f"{REACH}::test_policies_reach_those_who_decide"
DEFAULTS = f"{REACH}::test_what_a_request_leaves_out_is_what_the_operator_set"
LIMITS = "story/test_limits.py"
PROCESS = "observe/test_process.py"
LINES = "observe/test_lines.py"
RECOVERY = "story/test_recovery.py"
IDLE = "story/test_idle.py"
AUTO_STOP = "api/test_auto_stop.py"
PACES = f"{REACH}::test_each_pace_of_listings_is_as_set"
RECEIVERS = f"{REACH}::test_receivers_may_listen_where_the_operator_allows_it"
OWN = f"{REACH}::test_the_key_and_the_folder_are_those_of_the_operator"
DUE = f"{REACH}::test_the_next_comparison_and_the_next_check_are_as_far_off_as_set"
ASKED = f"{REACH}::test_how_often_one_may_ask_and_from_where_is_as_set"
LET_IN = f"{REACH}::test_who_needs_a_key_is_as_set"
IMAGE = "story/test_saved_image.py::test_it_is_saved_once_at_the_notice_and_the_new_machine_is_made_from_it"

SHOWN: dict[str, tuple[str, ...]] = {
    "novita_api_key": (f"{PROCESS}::test_lines_and_traces_of_a_process",),
    "novita_api_base_url": (f"{PROCESS}::test_lines_and_traces_of_a_process",),
    "novita_calls_per_minute": (f"{REACH}::test_a_budget_stretches_the_time_between_listings",),
    "host": ("settings/test_process.py::test_it_listens_where_it_is_told_and_says_what_is_asked",),
    "port": ("settings/test_process.py::test_it_listens_where_it_is_told_and_says_what_is_asked",),
    "work_port": ("settings/test_process.py::test_a_worker_says_how_it_is_where_it_is_told_and_nothing_else",),
    "admin_api_key": (OWN,),
    "auth": (LET_IN,),
    "metrics_open": (LET_IN,),
    "rate_limit_per_minute": (ASKED,),
    "rate_limit_shared": (ASKED,),
    "trusted_proxies": (ASKED,),
    "allowed_origins": (ASKED,),
    "redis_url": ("server/test_prefix.py::test_two_deployments_on_one_server_do_not_see_each_other",),
    "redis_profile": (
        f"{REACH}::test_limits_and_profile_reach_those_who_keep_them",
        "server/test_idle_cost.py::test_an_idle_replica_asks_no_more_than_its_profile_says",
    ),
    "redis_key_prefix": ("server/test_prefix.py::test_two_deployments_on_one_server_do_not_see_each_other",),
    "redis_fallback": ("story/test_store_out.py::test_without_a_fallback_writes_are_refused_and_reads_go_on",),
    "data_dir": (OWN,),
    "deployment_id": (OWN, "story/test_sync.py::test_n17_a_clone_with_our_environment_is_never_touched"),
    "webhook_url": ("story/test_webhooks.py::test_without_one_of_its_own_the_configured_receiver_is_told",),
    "webhook_secret": ("story/test_webhooks.py::test_each_change_is_sent_once_with_a_signature_that_verifies",),
    "webhook_secret_before": (f"{REACH}::test_both_secrets_sign_while_receivers_change_over",),
    "webhook_allow_private": (RECEIVERS,),
    "webhook_ports": (RECEIVERS,),
    "default_regions": (f"{REACH}::test_regions_are_tried_in_the_operators_order",),
    "on_start_capacity": (DEFAULTS, "domain/test_answers.py::test_a_start_without_a_gpu_does_as_its_policy_says"),
    "max_instances": (f"{LIMITS}::test_too_many_instances_are_refused_with_the_figures",),
    "max_burn_usd_per_hour": (f"{LIMITS}::test_of_twenty_at_once_as_many_are_taken_as_may_run_together",),
    "max_price_usd_per_hour": (f"{LIMITS}::test_a_machine_above_the_operators_price_is_never_bought",),
    "poll_moving_seconds": (PACES,),
    "poll_resting_seconds": (PACES,),
    "poll_spot_seconds": (PACES,),
    "sync_interval_minutes": (DUE,),
    "create_settle_seconds": (
        POLICIES,
        "story/test_lost_answers.py::test_nothing_made_is_believed_after_two_listings_and_a_late_twin_is_deleted",
    ),
    "launch_timeout_minutes": (
        "story/test_launch.py::test_a_launch_stuck_in_pulling_is_deleted_and_the_next_offer_tried",
    ),
    "not_ready_stop_minutes": (f"{IDLE}::test_a_machine_that_never_answers_is_stopped_and_failed",),
    "orphan_policy": ("story/test_sync.py::test_n6_where_the_policy_says_so_it_is_removed_through_its_closed_record",),
    "orphan_grace_minutes": (
        POLICIES,
        "domain/test_orphans.py::test_each_condition_holds_a_removal_back",
    ),
    "auto_stop_enabled": (POLICIES, "control/test_idle_check.py::test_switched_off_it_looks_at_nothing"),
    "auto_stop_idle_minutes": (
        f"{REACH}::test_a_new_instance_gets_the_operators_policy",
        f"{IDLE}::test_without_a_heartbeat_it_is_stopped_and_says_why",
    ),
    "auto_stop_activity": (
        f"{REACH}::test_a_new_instance_gets_the_operators_policy",
        "domain/test_idle.py::test_the_verdict_of_each_policy",
    ),
    "auto_stop_max_idle_minutes": (DEFAULTS, f"{AUTO_STOP}::test_nobody_idles_longer_than_the_operator_allows"),
    "auto_stop_only_with_network_volume": (
        DEFAULTS,
        f"{AUTO_STOP}::test_only_what_has_a_network_volume_is_stopped_where_the_operator_says_so",
    ),
    "auto_stop_warn_minutes": (f"{IDLE}::test_its_webhook_is_told_before_and_what_it_saved_is_shown",),
    "auto_stop_check_minutes": (DUE,),
    "delete_stopped_after_days": (
        POLICIES,
        "story/test_auto_stop.py::test_what_is_stopped_for_long_is_deleted_after_a_warning_and_not_if_it_is_started",
    ),
    "recovery_on_reclaim": (
        DEFAULTS,
        f"{RECOVERY}::test_with_recovery_off_it_is_stopped_and_says_so",
    ),
    "recovery_max_per_day": (
        f"{REACH}::test_a_new_instance_gets_the_operators_policy",
        f"{RECOVERY}::test_n22_a_region_that_takes_it_again_and_again_ends_in_failed_and_bills_nothing",
    ),
    "recovery_min_interval_minutes": (
        POLICIES,
        f"{RECOVERY}::test_while_it_waits_for_its_time_it_says_until_when_and_is_not_looked_at_more_often",
    ),
    "recovery_when_unsure": (
        DEFAULTS,
        f"{RECOVERY}::test_a_spot_machine_that_exits_without_a_sign_is_taken_for_reclaimed",
    ),
    "recovery_image_repository": (DEFAULTS, IMAGE),
    "recovery_image_auth_id": (DEFAULTS, IMAGE),
    "deleted_retention_days": (
        "architecture/test_redis_page.py::test_records_are_kept_as_long_as_the_setting_says_by_itself",
    ),
    "event_retention_days": (f"{REACH}::test_events_older_than_set_are_removed",),
    "log_level": ("settings/test_process.py::test_it_listens_where_it_is_told_and_says_what_is_asked",),
    "log_format": ("settings/test_process.py::test_it_listens_where_it_is_told_and_says_what_is_asked",),
    "axiom_token": (f"{PROCESS}::test_lines_and_traces_of_a_process",),
    "axiom_dataset": (f"{PROCESS}::test_lines_and_traces_of_a_process",),
    "axiom_url": (f"{PROCESS}::test_lines_and_traces_of_a_process",),
    "otel_exporter_otlp_endpoint": (f"{PROCESS}::test_lines_and_traces_of_a_process",),
    "slow_request_ms": (f"{LINES}::test_what_takes_long_is_told_with_its_parts",),
    "slow_cloud_call_ms": (f"{LINES}::test_what_takes_long_is_told_with_its_parts",),
}
