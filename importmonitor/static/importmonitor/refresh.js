/* While an import is active and the page can be seen, fetch the page again and put what changed
   into it. Without this script everything works; one reloads the page oneself. */
"use strict";
{
    const INTERVAL = 5000;
    /* How long an answer is waited for, before the page says that it may be old. */
    const PATIENCE = 15000;
    const PARTS = "[data-im-live], #changelist-form, fieldset.im-refreshed";
    const USED = "a, button, input, select, summary, textarea, [tabindex]";

    /* What somebody has marked is left alone until they have done. So is what has the focus, if
       it would lead elsewhere: a new row moves all others down. */
    const busy = (part, fresh) => {
        const selection = document.getSelection();
        if (selection && !selection.isCollapsed && selection.containsNode(part, true)) {
            return true;
        }
        if (!part.contains(document.activeElement)) {
            return false;
        }
        const place = [...part.querySelectorAll(USED)].indexOf(document.activeElement);
        const there = fresh.querySelectorAll(USED)[place];
        return there?.nodeName !== document.activeElement.nodeName
            || there.getAttribute("href") !== document.activeElement.getAttribute("href");
    };

    /* Change what differs and nothing else: what is the same keeps its focus. */
    const put = (fresh, old) => {
        if (old.nodeName !== fresh.nodeName) {
            old.replaceWith(fresh);
            return;
        }
        if (old.nodeType !== Node.ELEMENT_NODE) {
            if (old.nodeValue !== fresh.nodeValue) {
                old.nodeValue = fresh.nodeValue;
            }
            return;
        }
        const names = new Set([...old.getAttributeNames(), ...fresh.getAttributeNames()]);
        /* Whether a table is opened is for who reads it to say. */
        names.delete("open");
        for (const name of names) {
            const value = fresh.getAttribute(name);
            if (value === null) {
                old.removeAttribute(name);
            } else if (old.getAttribute(name) !== value) {
                old.setAttribute(name, value);
            }
        }
        const [now, then] = [[...old.childNodes], [...fresh.childNodes]];
        then.forEach((each, index) => now[index] ? put(each, now[index]) : old.append(each));
        now.slice(then.length).forEach((each) => each.remove());
    };

    const tell = (failed) => {
        const notice = document.querySelector("[data-im-failed]");
        const message = failed ? notice.dataset.imFailed : "";
        if (notice.textContent !== message) {
            notice.textContent = message;
        }
    };

    let asking = false;

    const refresh = async () => {
        if (asking || document.hidden || !document.querySelector("[data-im-active]")) {
            return;
        }
        asking = true;
        const patience = new AbortController();
        const timer = setTimeout(() => patience.abort(), PATIENCE);
        try {
            const response = await fetch(
                location.href, {redirect: "error", signal: patience.signal});
            if (!response.ok) {
                throw new Error(response.status);
            }
            const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
            const now = [...document.querySelectorAll(PARTS)];
            const then = [...fresh.querySelectorAll(PARTS)];
            if (now.length && !then.length) {
                /* Another page in its place, such as one that asks to log in. */
                throw new Error("another page");
            }
            now.forEach((part, index) => {
                if (then[index] && !busy(part, then[index])) {
                    put(then[index], part);
                }
            });
            tell(false);
        } catch {
            tell(true);
        } finally {
            clearTimeout(timer);
            asking = false;
        }
    };

    setInterval(refresh, INTERVAL);
    document.addEventListener("visibilitychange", refresh);
}
