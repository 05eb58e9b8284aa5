"""What must never happen, by number: the tests that go red if it happens here. Read and held by `test_index`."""

PROVE = "prove/test_explore.py::test_every_single_cut_and_some_bad_answers"
PLANTED = "prove/test_planted.py"
LOST = "story/test_lost_answers.py"
LIFE = "story/test_life.py"
TOGETHER = "story/test_together.py"
DECIDE, LEARN, OFFERS = "domain/test_decide.py", "domain/test_learn.py", "domain/test_offers.py"
AUTO_STOP, IDLE_CHECK = "story/test_auto_stop.py", "control/test_idle_check.py"
TIMED = "control/test_timed_sync.py"
RECOVERY = "story/test_recovery.py"
RATES, HOSTILE = "api/test_limits.py", "api/test_hostile.py"
HERE = "never/test_never.py"

INDEX: dict[str, tuple[str, ...]] = {
    "N1": (
        f"{PLANTED}::test_a_create_retried_blindly",
        f"{LOST}::test_one_machine_though_its_create_had_no_usable_answer",
    ),
    "N2": (PROVE, "chaos/test_kill.py::test_killed_in_the_midst_of_fifty_creates_it_finishes_all_and_buys_none_twice"),
    "N3": (
        f"{PLANTED}::test_an_intent_stored_after_the_call",
        f"{HERE}::test_n3_an_intent_that_could_not_be_stored_calls_nobody",
    ),
    "N4": (
        "story/test_names.py::test_of_many_requests_for_one_name_at_once_one_is_accepted",
        "story/test_names.py::test_one_key_at_the_same_moment_makes_one_instance",
        "store/test_races.py::test_n4_of_many_creates_of_one_name_one_is_done",
    ),
    "N5": (
        f"{PLANTED}::test_adoption_by_a_fuzzy_name",
        "store/test_looks.py::test_n5_only_a_machine_with_both_marks_is_marked",
    ),
    "N6": (
        "domain/test_orphans.py::test_each_condition_holds_a_removal_back",
        "control/test_orphans.py::test_n6_each_missing_condition_holds_a_removal_back",
        "control/test_orphans.py::test_n6_an_orphan_is_told_of_and_left_alone_by_default",
        "control/test_orphans.py::test_n6_three_an_hour_are_removed_and_no_more",
        "story/test_sync.py::test_n6_after_a_lost_store_what_bills_is_found_and_gets_its_instance_back",
        "story/test_sync.py::test_n6_a_machine_that_is_back_after_it_went_is_told_of_and_kept",
    ),
    "N7": (
        f"{PLANTED}::test_a_record_forgotten_before_gone",
        f"{LEARN}::test_gone_needs_a_not_found_and_a_later_complete_listing",
        f"{LEARN}::test_not_found_within_five_minutes_of_create_is_lag",
        f"{LIFE}::test_deleted_is_said_only_once_the_cloud_says_it_is_gone",
    ),
    "N8": (
        "story/test_launch.py::test_a_launch_stuck_in_pulling_is_deleted_and_the_next_offer_tried",
        "story/test_idle.py::test_a_machine_that_never_answers_is_stopped_and_failed",
    ),
    "N9": (
        f"{PLANTED}::test_a_former_machine_that_is_forgotten_once_its_replacement_answers",
        "domain/test_recovery.py::test_n9_a_new_machine_sets_the_old_one_aside_and_keeps_it",
        f"{RECOVERY}::test_the_old_machine_is_kept_until_the_new_one_answers",
    ),
    "N10": (
        f"{OFFERS}::test_names_match_whole",
        f"{OFFERS}::test_the_price_of_the_wanted_billing_mode_ranks",
        f"{OFFERS}::test_never_dearer_than_agreed",
        f"{OFFERS}::test_every_offer_is_allowed_and_every_allowed_one_is_offered",
        "story/test_offers.py::test_a_cheaper_card_whose_name_goes_on_is_another_card",
        "story/test_offers.py::test_a_price_of_nothing_is_no_bargain",
        "story/test_offers.py::test_spot_dearer_than_on_demand_costs_what_spot_costs",
        "story/test_offers.py::test_nothing_is_bought_at_a_price_that_is_out_of_date",
        f"{HERE}::test_n10_a_price_that_rose_while_a_create_waited_for_its_place_is_not_paid",
    ),
    "N11": (
        f"{TOGETHER}::test_stop_all_stops_what_runs_and_what_comes_up",
        "api/test_instances.py::test_n11_stop_all_stops_what_may_bill",
    ),
    "N12": (
        f"{HERE}::test_n12_two_replicas_that_pass_at_once_buy_one_machine",
        "store/test_races.py::test_n12_of_two_who_decide_on_one_record_one_commits",
    ),
    "N13": (
        "store/test_commit.py::test_n13_a_heartbeat_after_the_weighed_one_prevents_the_stop",
        "store/test_races.py::test_n13_of_a_heartbeat_and_a_stop_at_once_one_always_knows_of_the_other",
        f"{HERE}::test_n13_a_heartbeat_between_the_decision_and_its_commit_prevents_the_stop",
        f"{PLANTED}::test_a_stop_for_idleness_that_does_not_weigh_the_last_heartbeat",
        f"{AUTO_STOP}::test_n13_a_heartbeat_at_any_await_of_the_check_and_the_stop_is_weighed_or_refused",
        f"{AUTO_STOP}::test_n13_heartbeats_that_nobody_could_take_stop_nothing",
    ),
    "N14": (
        "story/test_idle.py::test_a_started_machine_is_judged_by_its_own_run",
        f"{DECIDE}::test_a_restarted_machine_is_not_judged_by_the_run_before",
        f"{PLANTED}::test_a_run_that_is_judged_by_the_heartbeats_of_the_run_before",
        f"{AUTO_STOP}::test_n14_a_started_machine_is_not_judged_by_the_run_before",
    ),
    "N15": (
        f"{HERE}::test_n15_what_cannot_be_read_never_stops_anything",
        "domain/test_idle.py::test_unknown_never_stops",
        f"{AUTO_STOP}::test_n15_while_its_metrics_cannot_be_read_it_runs_on_and_is_stopped_once_they_can",
    ),
    "N16": (
        "api/test_auto_stop.py::test_n16_reading_and_waiting_are_no_use",
        "ui/test_live.py::test_n16_looking_is_no_use_and_l2_tabs_ask_the_cloud_nothing",
    ),
    "N17": (
        f"{PLANTED}::test_a_marker_cloned_with_another_machines_environment",
        f"{TOGETHER}::test_foreign_machines_are_never_touched",
        "control/test_orphans.py::test_n17_one_half_of_a_marker_is_told_of_once_and_never_touched",
        f"{IDLE_CHECK}::test_a_machine_that_was_taken_in_is_in_no_danger",
        "control/test_sync.py::test_n17_a_machine_that_was_taken_in_is_not_stopped_by_any_rule_of_ours",
        "store/test_commit.py::test_n17_of_two_who_take_in_one_machine_one_has_it",
        "story/test_sync.py::test_n17_a_clone_with_our_environment_is_never_touched",
    ),
    "N18": (
        f"{IDLE_CHECK}::test_n18_a_dry_run_tells_each_verdict_and_writes_nothing",
        f"{TOGETHER}::test_stop_all_first_says_what_it_would_do_and_does_nothing",
        "control/test_sync.py::test_n18_a_dry_run_says_the_same_and_writes_nothing",
        "story/test_money.py::test_a_plan_says_what_create_would_do_and_changes_nothing",
    ),
    "N19": (
        f"{DECIDE}::test_what_was_refused_a_thousand_times_is_asked_for_again",
        "domain/test_answers.py::test_a_refused_stop_stays_wanted",
        f"{AUTO_STOP}::test_n19_a_stop_that_fails_is_tried_again_told_of_and_forgets_nothing",
        f"{IDLE_CHECK}::test_n19_what_bills_though_it_is_asked_to_stop_again_and_again_is_named",
    ),
    "N20": (
        f"{PLANTED}::test_an_idle_machine_whose_alarm_is_the_only_thing_that_wakes_it",
        f"{IDLE_CHECK}::test_n20_a_check_that_is_late_is_told_of_with_its_lag",
        f"{IDLE_CHECK}::test_n20_a_timer_that_never_ran_is_told_of",
        "story/test_gauges.py::test_n20_every_query_names_a_figure_and_labels_that_there_are",
        "work/test_work.py::test_n20_a_check_whose_process_was_killed_in_it_is_made_by_the_next_within_a_minute",
    ),
    "N21": (
        "domain/test_recovery.py::test_n21_what_is_not_meant_to_run_is_never_lost",
        f"{RECOVERY}::test_n21_what_a_person_stopped_is_never_recovered",
        f"{RECOVERY}::test_n21_what_auto_stop_stopped_is_never_recovered",
        f"{RECOVERY}::test_n21_an_on_demand_machine_that_somebody_stopped_in_the_console_is_left",
    ),
    "N22": (
        "domain/test_recovery.py::test_n22_a_recovery_is_begun_put_off_or_given_up",
        f"{RECOVERY}::test_n22_a_replacement_that_is_removed_again_and_again_is_not_bought_for_ever",
        f"{RECOVERY}::test_n22_a_region_that_takes_it_again_and_again_ends_in_failed_and_bills_nothing",
    ),
    "N23": (f"{RECOVERY}::test_n23_an_old_failure_does_not_speak_for_a_newer_success",),
    "N24": (
        f"{PLANTED}::test_a_delete_while_a_create_is_unanswered",
        f"{LOST}::test_a_delete_while_the_create_is_unanswered_says_deleted_only_when_its_machine_is_gone",
    ),
    "N25": (
        f"{PLANTED}::test_a_create_sent_by_a_process_that_slept",
        f"{HERE}::test_n25_a_process_that_slept_after_its_intent_sends_nothing",
    ),
    "T1": ("api/test_caches.py::test_t1_clearing_all_touches_no_record_event_or_delivery",),
    "T2": (
        f"{PLANTED}::test_the_revision_guard_removed",
        "store/test_commit.py::test_t2_a_stale_record_is_never_written_over_a_newer_one",
    ),
    "T3": (
        f"{HERE}::test_t3_an_outage_of_the_cloud_fails_nobody",
        "story/test_outage.py::test_t3_five_minutes_without_the_cloud_fail_nobody_and_storm_nobody",
    ),
    "T4": ("cloud/test_circuit.py::test_refusals_never_open_it",),
    "T5": (
        f"{PLANTED}::test_another_accounts_cloud_taken_for_an_empty_one",
        f"{PLANTED}::test_a_listing_with_a_missing_page_taken_for_absence",
        "store/test_looks.py::test_t5_a_listing_that_is_not_complete_takes_nothing_away",
        "control/test_sweep.py::test_a_page_that_cannot_be_read_makes_no_absence",
        "control/test_sweep.py::test_most_machines_gone_at_once_is_not_believed_and_told_of_once",
        "control/test_sweep.py::test_a_new_key_is_believed_once_it_shows_a_machine_of_ours",
        "control/test_sync.py::test_t5_many_gone_at_once_are_closed_after_an_operator_says_so",
        "control/test_sync.py::test_t5_a_page_that_fails_closes_and_removes_nothing",
        f"{TIMED}::test_t5_one_that_fails_closes_nothing_is_said_in_health_and_tried_again_soon",
        f"{TIMED}::test_t5_an_empty_list_by_error_closes_nothing",
        f"{TIMED}::test_t5_a_list_that_lags_closes_nothing",
    ),
    "T6": (
        "story/test_calls.py::test_only_documented_parameters_are_sent",
        "cloud/test_listing.py::test_whatever_moves_meanwhile_paging_ends_and_counts_nobody_twice",
    ),
    "T8": (
        f"{LIFE}::test_stopped_is_said_only_once_the_cloud_says_exited",
        "api/test_wishes.py::test_t8_a_wish_is_shown_as_under_way_never_as_done",
    ),
    "T9": (
        "control/test_quiet.py::test_t9_passes_over_what_is_at_rest_write_nothing",
        f"{LIFE}::test_its_timeline_tells_everything_once_and_in_order",
        "store/test_commit.py::test_t9_a_lost_answer_doubles_nothing",
        "store/test_endpoints.py::test_t9_of_many_who_bring_the_same_stretch_of_the_log_one_does",
        "api/test_streams.py::test_a_reader_that_breaks_off_a_hundred_times_sees_each_event_once_and_in_order",
        f"{PLANTED}::test_a_change_that_is_told_twice",
        f"{PLANTED}::test_a_change_that_is_never_told",
        f"{PLANTED}::test_a_pass_that_tells_though_nothing_changed",
        PROVE,
    ),
    "T10": (
        "webhooks/test_crash.py::test_t10_whatever_await_is_cut_or_badly_answered_all_is_told_in_the_end",
        "webhooks/test_sender.py::test_t10_a_crash_between_send_and_save_sends_it_again_with_the_same_id",
        "webhooks/test_sender.py::test_a_slow_receiver_holds_up_nobody_and_gets_four_at_once",
        "webhooks/test_latency.py::test_t10_a_dead_and_a_slow_receiver_delay_no_other",
    ),
    "T11": (
        "api/test_metrics.py::test_t11_ten_thousand_unknown_paths_and_methods_add_no_series",
        "api/test_metrics.py::test_t11_ten_thousand_instances_add_no_series",
        "api/test_metrics.py::test_t11_rates_are_of_the_last_minute_and_not_of_a_life",
    ),
    "T12": (
        "settings/test_index.py::test_every_setting_has_a_row_and_every_row_a_setting",
        "settings/test_index.py::test_t12_all_variables_may_be_empty",
        "story/test_settings.py::test_an_empty_variable_is_an_unset_one",
    ),
    "T13": (
        f"{LEARN}::test_running_is_counted_from_the_begin_of_the_look",
        f"{DECIDE}::test_a_machine_that_never_answers_is_stopped_after_its_limit",
    ),
    "T14": (
        f"{LIFE}::test_a_start_is_ready_with_its_new_port_and_password",
        f"{LIFE}::test_a_tcp_port_is_probed_by_connecting",
    ),
    "T15": (
        f"{HERE}::test_t15_an_outage_is_not_told_as_not_found",
        "cloud/test_meaning.py::test_a_page_at_the_door_is_unreachable_and_never_not_found",
    ),
    "S1": (
        "api/test_guard.py::test_s1_no_route_answers_without_a_key_but_the_open_ones",
        "api/test_guard.py::test_s1_each_route_needs_the_scope_of_the_table",
        "api/test_logs.py::test_s1_a_request_is_logged_by_its_route_without_its_key",
        "api/test_fuzz.py::test_s1_no_key_opens_more_than_the_table_says",
        "api/test_api_keys.py::test_s1_a_key_is_told_once_and_kept_nowhere",
        "control/test_admission.py::test_s1_a_guess_that_is_nearly_right_takes_as_long_as_one_that_is_all_wrong",
        f"{RATES}::test_s1_guessing_is_stopped_though_the_next_guess_is_right_and_whoever_was_let_in_goes_on",
    ),
    "S2": (
        "egress/test_spellings.py::test_s2_no_spelling_of_a_closed_address_passes",
        "egress/test_session.py::test_the_connection_goes_to_the_address_that_was_judged",
        "egress/test_session.py::test_a_redirect_is_an_answer_and_never_followed",
        "webhooks/test_sender.py::test_s2_an_address_in_a_private_network_is_judged_at_each_send",
        "api/test_webhooks.py::test_a_test_needs_a_receiver_and_s2_a_public_one",
    ),
    "S3": (
        f"{HOSTILE}::test_s3_no_page_of_another_origin_reads_anything_unless_it_is_named",
        f"{HOSTILE}::test_s3_only_this_machines_own_user_is_taken_for_it",
        "api/test_sessions.py::test_s3_a_change_without_the_token_of_its_page_is_refused",
        "api/test_sessions.py::test_s3_another_site_changes_nothing_though_it_has_the_token",
        "ui/test_way_in.py::test_s3_another_site_logs_nobody_in",
        "ui/test_live.py::test_s3_a_form_of_another_site_changes_nothing",
    ),
    "S4": (
        "ui/test_live.py::test_s4_whatever_the_cloud_says_is_shown_as_text",
        "ui/test_way_in.py::test_s4_pages_run_nothing_inline_and_load_nothing_from_elsewhere",
        "ui/test_way_in.py::test_s4_what_is_in_the_address_is_text",
    ),
    "S5": (
        "api/test_documents.py::test_s5_no_path_leads_out_of_the_page",
        "ui/test_way_in.py::test_s5_no_path_leads_out_of_the_static_folder",
    ),
    "S6": (
        "control/test_inventory.py::test_templates_show_no_secret",
        f"{HERE}::test_s6_planted_secrets_are_only_where_they_belong",
        "cloud/test_secrets.py::test_no_error_shows_the_key",
        "observe/test_process.py::test_lines_and_traces_of_a_process",
        "webhooks/test_sender.py::test_s6_an_answer_is_kept_without_secrets",
        "api/test_webhooks.py::test_s6_an_endpoints_secret_is_told_where_it_is_made_and_never_again",
        "domain/test_values.py::test_environment_values_do_not_print",
        "architecture/test_hidden.py::test_what_is_named_like_a_secret_is_one_by_its_type",
        "architecture/test_hidden.py::test_a_secret_prints_as_stars_wherever_it_lies",
        "story/test_settings.py::test_s6_those_in_force_are_told_without_secrets",
        "ui/test_life.py::test_a_password_is_shown_on_a_click_and_not_before",
    ),
    "S7": (
        f"{RATES}::test_s7_only_trusted_proxies_say_where_a_request_comes_from",
        f"{RATES}::test_s7_a_forged_address_does_not_dodge_the_limit",
        f"{RATES}::test_s7_a_million_addresses_take_no_more_memory_than_fifty_thousand",
    ),
    "S8": ("store/test_keys.py::test_s8_a_store_touches_no_key_but_its_own",),
    "S9": (
        f"{HOSTILE}::test_s9_headers_that_come_drop_by_drop_are_cut_off_and_so_is_silence",
        f"{HOSTILE}::test_s9_a_flood_of_headers_is_refused_while_it_comes",
        f"{HOSTILE}::test_s9_large_headers_and_a_long_query_are_told_of_at_once",
        f"{HOSTILE}::test_s9_a_body_that_comes_drop_by_drop_is_refused_and_its_connection_ended",
        f"{HOSTILE}::test_s9_a_gigabyte_is_refused_by_its_announcement_and_endless_chunks_at_a_megabyte",
        f"{HOSTILE}::test_s9_json_that_nests_deep_is_refused",
        "webhooks/test_sender.py::test_only_the_beginning_of_a_long_answer_is_kept",
        "webhooks/test_sender.py::test_no_answer_within_the_deadline_is_a_failed_try",
    ),
    "S10": ("domain/test_values.py::test_ids_sort_by_time_and_differ_by_chance",),
    "L1": (
        f"{HERE}::test_l1_a_stop_does_not_wait_behind_slow_creates",
        "cloud/test_lanes.py::test_stops_do_not_wait_behind_creates_and_listings",
    ),
    "L2": (
        "story/test_calls.py::test_a_hundred_instances_at_rest_cost_listings_alone",
        "story/test_calls.py::test_from_create_to_ready_it_takes_one_create_and_one_get",
        "story/test_calls.py::test_callers_who_read_cost_the_cloud_nothing",
        "ui/test_live.py::test_n16_looking_is_no_use_and_l2_tabs_ask_the_cloud_nothing",
        "story/test_offers.py::test_a_hundred_creates_at_once_fetch_the_catalogue_once",
        f"{TIMED}::test_l2_starts_in_a_row_list_no_faster_than_the_shortest_interval",
    ),
    "L3": (
        "cloud/test_reads.py::test_tries_are_few",
        "cloud/test_reads.py::test_retry_after_is_heeded_within_the_deadline",
        "cloud/test_reads.py::test_slow_tries_share_one_deadline",
        "story/test_outage.py::test_t3_five_minutes_without_the_cloud_fail_nobody_and_storm_nobody",
    ),
    "L4": (
        "server/test_idle_cost.py::test_an_idle_replica_asks_no_more_than_its_profile_says",
        "control/test_signs.py::test_a_check_costs_few_commands",
        "control/test_outages.py::test_while_all_is_well_the_store_is_asked_nothing",
    ),
    "L5": ("story/test_loop.py::test_l5_nothing_blocks_the_loop_in_a_whole_life",),
    "L6": (
        "chaos/test_crowd.py::test_l6_before_a_full_cloud_it_serves_at_once_and_compares_all_with_one_listing",
        "domain/test_turns.py::test_l6_thousands_are_spread_over_half_a_minute",
        f"{TIMED}::test_l6_thousands_are_not_rung_at_once",
    ),
}
