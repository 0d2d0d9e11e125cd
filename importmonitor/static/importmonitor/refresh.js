/* Fetch the page periodically and update what changed: often while an import is active and the page
   is visible; otherwise, on a page that is worth leaving open, once a minute, so that its tab says
   the state. The page works without this script; the user then reloads it. */
"use strict";
{
    const INTERVAL = 5000;
    const IDLE_INTERVAL = 60000;
    /* Time to wait for a response before the page says that it may be out of date. */
    const TIMEOUT = 15000;
    const PARTS = "[data-im-live], #changelist-form";
    const FOCUSABLE = "a, button, input, select, summary, textarea, [tabindex]";

    /* A part is not updated while text in it is selected, or while the focus is on an element that
       would become another one: a new row moves all others down. */
    const isInUse = (part, fresh) => {
        const selection = document.getSelection();
        if (selection && !selection.isCollapsed && selection.containsNode(part, true)) {
            return true;
        }
        if (!part.contains(document.activeElement)) {
            return false;
        }
        const index = [...part.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
        const successor = fresh.querySelectorAll(FOCUSABLE)[index];
        return successor?.nodeName !== document.activeElement.nodeName
            || successor.getAttribute("href") !== document.activeElement.getAttribute("href");
    };

    /* Change only what differs, so that the rest keeps the focus. */
    const patch = (fresh, old) => {
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
        /* The user opens and closes the tables. */
        names.delete("open");
        for (const name of names) {
            const value = fresh.getAttribute(name);
            if (value === null) {
                old.removeAttribute(name);
            } else if (old.getAttribute(name) !== value) {
                old.setAttribute(name, value);
            }
        }
        const [oldNodes, freshNodes] = [[...old.childNodes], [...fresh.childNodes]];
        freshNodes.forEach(
            (node, index) => oldNodes[index] ? patch(node, oldNodes[index]) : old.append(node));
        oldNodes.slice(freshNodes.length).forEach((node) => node.remove());
    };

    const showNotice = (failed) => {
        const notice = document.querySelector("[data-im-failed]");
        const message = failed ? notice.dataset.imFailed : "";
        if (notice.textContent !== message) {
            notice.textContent = message;
        }
    };

    const updateTab = (fresh) => {
        document.title = fresh.title;
        const [icon, freshIcon] = [document, fresh].map(
            (page) => page.querySelector("[data-im-icon]"));
        if (icon && freshIcon && icon.getAttribute("href") !== freshIcon.getAttribute("href")) {
            icon.replaceWith(freshIcon);
        }
    };

    let isFetching = false;
    let fetchedAt = Date.now();

    const isDue = () => {
        if (!document.hidden && document.querySelector("[data-im-active]")) {
            return true;
        }
        /* With the margin that a timer needs. */
        return document.querySelector("[data-im-idle]")
            && Date.now() - fetchedAt >= IDLE_INTERVAL - INTERVAL / 2;
    };

    const refresh = async () => {
        if (isFetching || !isDue()) {
            return;
        }
        isFetching = true;
        fetchedAt = Date.now();
        const controller = new AbortController();
        const timer = setTimeout(() => controller.abort(), TIMEOUT);
        try {
            const response = await fetch(
                location.href, {redirect: "error", signal: controller.signal});
            if (!response.ok) {
                throw new Error(response.status);
            }
            const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
            const parts = [...document.querySelectorAll(PARTS)];
            const freshParts = [...fresh.querySelectorAll(PARTS)];
            if (parts.length && !freshParts.length) {
                /* A different page, such as a proxy's login page. */
                throw new Error("unexpected page");
            }
            parts.forEach((part, index) => {
                if (freshParts[index] && !isInUse(part, freshParts[index])) {
                    patch(freshParts[index], part);
                }
            });
            updateTab(fresh);
            showNotice(false);
        } catch {
            showNotice(true);
        } finally {
            clearTimeout(timer);
            isFetching = false;
        }
    };

    setInterval(refresh, INTERVAL);
    document.addEventListener("visibilitychange", refresh);
}
