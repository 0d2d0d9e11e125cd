// Asks a server as one of Rocket.Chat's own clients does, and tells what the client gave its caller.
//
//   BASE_URL=… USER_ID=… AUTH_TOKEN=… node ask.mjs CLIENT ENDPOINT…
//
// CLIENT is api-client, sdk or rocketchat-api. Prints a line of JSON for each endpoint, in order:
// {"resolved": value}, or {"rejected": {…}} with as much as that client shows of a refusal.

import { createRequire } from "node:module";

// As a caller writes it; all three are CommonJS.
const require = createRequire(import.meta.url);
const { BASE_URL, USER_ID, AUTH_TOKEN } = process.env;
const HEADERS = { "X-User-Id": USER_ID, "X-Auth-Token": AUTH_TOKEN };

// Each makes a client and returns what asks an endpoint with it, as a promise.
const CLIENTS = {
    "api-client": () => {
        const { RestClient } = require("@rocket.chat/api-client");
        const client = new RestClient({ baseUrl: BASE_URL, credentials: HEADERS });
        return (endpoint) => client.get(`/v1/${endpoint}`);
    },
    sdk: () => {
        const { Rocketchat } = require("@rocket.chat/sdk");
        const client = new Rocketchat({ host: BASE_URL, logger: null });
        // What its login() does with the answer; a token has no login.
        client.client.headers = HEADERS;
        client.currentLogin = { userId: USER_ID, authToken: AUTH_TOKEN };
        return (endpoint) => client.get(endpoint, {});
    },
    "rocketchat-api": () => {
        const RocketChatClient = require("rocketchat-api");
        const { protocol, hostname, port, pathname } = new URL(BASE_URL);
        const client = new RocketChatClient({
            protocol: protocol.slice(0, -1),
            host: hostname,
            port,
            basepath: pathname,
        });
        client.setUserId(USER_ID);
        client.setAuthToken(AUTH_TOKEN);
        // Its default is one second, which a busy machine can take for an answer.
        client.restClient.options.timeout = 30_000;
        return (endpoint) => client.restClient.request("GET", endpoint, null);
    },
};

async function shown(reason) {
    if (reason instanceof Response) {
        const headers = Object.fromEntries(reason.headers);
        return { status: reason.status, headers, body: await reason.text() };
    }
    if (reason instanceof Error) {
        return { name: reason.name, message: reason.message, statusCode: reason.statusCode };
    }
    return reason;
}

const [name, ...endpoints] = process.argv.slice(2);
const ask = CLIENTS[name]();
for (const endpoint of endpoints) {
    const outcome = await ask(endpoint).then(
        (resolved) => ({ resolved }),
        async (reason) => ({ rejected: await shown(reason) }),
    );
    process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
// rocketchat-api opens a web socket of its own accord, and again whenever that fails.
process.exit();
