// Requests endpoints with one of Rocket.Chat's own clients, and prints what the client returned.
//
//   BASE_URL=… USER_ID=… AUTH_TOKEN=… node request.mjs CLIENT ENDPOINT…
//
// CLIENT is api-client, sdk or rocketchat-api. Prints a line of JSON for each endpoint, in order:
// {"resolved": value}, or {"rejected": {…}} with what the client returns of an error response.

import { createRequire } from "node:module";

// The usual way to load them: all three are CommonJS.
const require = createRequire(import.meta.url);
const { BASE_URL, USER_ID, AUTH_TOKEN } = process.env;
const HEADERS = { "X-User-Id": USER_ID, "X-Auth-Token": AUTH_TOKEN };

// Functions that create a client and return a function that requests an endpoint with it.
const CLIENTS = {
    "api-client": () => {
        const { RestClient } = require("@rocket.chat/api-client");
        const client = new RestClient({ baseUrl: BASE_URL, credentials: HEADERS });
        return (endpoint) => client.get(`/v1/${endpoint}`);
    },
    sdk: () => {
        const { Rocketchat } = require("@rocket.chat/sdk");
        const client = new Rocketchat({ host: BASE_URL, logger: null });
        // What its login() does with the response; a token has no login.
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
        // Its default is one second, which is too short on a busy machine.
        client.restClient.options.timeout = 120_000;
        return (endpoint) => client.restClient.request("GET", endpoint, null);
    },
};

async function describe(reason) {
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
const request = CLIENTS[name]();
for (const endpoint of endpoints) {
    const outcome = await request(endpoint).then(
        (resolved) => ({ resolved }),
        async (reason) => ({ rejected: await describe(reason) }),
    );
    process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
// rocketchat-api opens a web socket, and reopens it whenever that fails.
process.exit();
