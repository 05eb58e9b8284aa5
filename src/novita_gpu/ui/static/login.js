// Who follows a link from elsewhere comes without the cookie, though the browser has it: then there is nothing to type.
const onward = document.getElementById("next").value;
fetch("/ui", { cache: "no-store", redirect: "manual" }).then((answer) => answer.ok && location.replace(onward)).catch(() => {});
