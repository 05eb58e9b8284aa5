// What stands behind the # of the address that was asked for never reaches the service: it is carried on from here.
const onward = document.getElementById("next").value + location.hash;
document.forms[0].action += location.hash;

// Who follows a link from elsewhere comes without the cookie, though the browser has it: then there is nothing to type.
fetch("/ui", { cache: "no-store", redirect: "manual" }).then((answer) => answer.ok && location.replace(onward)).catch(() => {});
