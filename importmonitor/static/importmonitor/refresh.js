/* While an import is active and the page can be seen, fetch the page again and put what changed
   into it. Without this script everything works; one reloads the page oneself. */
"use strict";
{
    const INTERVAL = 5000;
    const PARTS = "[data-im-live], #result_list tbody";

    const busy = (part) => part.contains(document.activeElement);

    const failed = (message) => {
        let notice = document.querySelector(".im-refresh");
        if (!message) {
            notice?.remove();
            return;
        }
        if (!notice) {
            notice = document.createElement("p");
            notice.className = "im-refresh";
            notice.setAttribute("role", "status");
            document.querySelector("[data-im-live]").before(notice);
        }
        notice.textContent = message;
    };

    const refresh = async () => {
        if (document.hidden || !document.querySelector("[data-im-active]")) {
            return;
        }
        const live = document.querySelector("[data-im-live]");
        try {
            const response = await fetch(location.href, {redirect: "error"});
            if (!response.ok) {
                throw new Error(response.status);
            }
            const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
            const now = [...document.querySelectorAll(PARTS)];
            const then = [...fresh.querySelectorAll(PARTS)];
            now.forEach((part, index) => {
                if (then[index] && !busy(part) && part.innerHTML !== then[index].innerHTML) {
                    part.replaceWith(then[index]);
                }
            });
            failed("");
        } catch {
            failed(live.dataset.imFailed);
        }
    };

    setInterval(refresh, INTERVAL);
    document.addEventListener("visibilitychange", refresh);
}
