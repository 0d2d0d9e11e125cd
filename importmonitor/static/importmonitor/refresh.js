/* While an import is active and the page can be seen, fetch the page again and put what changed
   into it. Without this script everything works; one reloads the page oneself. */
"use strict";
{
    const INTERVAL = 5000;
    const PARTS = "[data-im-live], #result_list tbody";

    /* What somebody is at, by keyboard or with the mouse, is left alone until they have done. */
    const busy = (part) => {
        const selection = document.getSelection();
        return part.contains(document.activeElement)
            || (selection && !selection.isCollapsed && selection.containsNode(part, true));
    };

    const put = (fresh, part) => {
        const opened = [...part.querySelectorAll("details")].map((each) => each.open);
        fresh.querySelectorAll("details").forEach((each, index) => {
            each.open = opened[index] ?? each.open;
        });
        if (part.innerHTML !== fresh.innerHTML || part.className !== fresh.className) {
            part.replaceWith(fresh);
        }
    };

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
                if (then[index] && !busy(part)) {
                    put(then[index], part);
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
