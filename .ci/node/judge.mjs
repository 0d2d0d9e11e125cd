// Judges bodies by the JSON schemas that Rocket.Chat itself ships.
//
//   node judge.mjs < lines of JSON, each {"kind": …, "body": …}
//
// A kind is the name of one of core-typings' schemas (IImport, ProgressStep), or the status of an
// error, for rest-typings' validator of such: 400, 401, 403, 404, 500. Prints for each line a list
// of what is wrong with it, in JSON. Exit status: 0 if nothing is, 1 if anything is, 2 if a line
// cannot be read or its kind is not known.

import { createRequire, register } from "node:module";
import { createInterface } from "node:readline";
import { isDeepStrictEqual } from "node:util";
import addFormats from "ajv-formats";
import Ajv from "ajv/dist/2020.js";

register("./resolve.mjs", import.meta.url);
const { schemas } = createRequire(import.meta.url)("@rocket.chat/core-typings");
const validators = await import("@rocket.chat/rest-typings/dist/v1/Ajv.js");

const ERRORS = {
    400: validators.validateBadRequestErrorResponse,
    401: validators.validateUnauthorizedErrorResponse,
    403: validators.validateForbiddenErrorResponse,
    404: validators.validateNotFoundErrorResponse,
    500: validators.validateInternalErrorResponse,
};

// Not strict: what holds the schemas is an OpenAPI document, with more keys than a schema's.
const ajv = new Ajv({ allErrors: true, strict: false });
addFormats(ajv);
ajv.addSchema(schemas, "core-typings");

function validatorOf(kind) {
    return ERRORS[kind] ?? ajv.getSchema(`core-typings#/components/schemas/${kind}`);
}

function judge(validate, body) {
    const sent = structuredClone(body);
    const errors = validate(body) ? [] : validate.errors;
    const found = errors.map(({ instancePath, message }) => `${instancePath} ${message}`.trim());
    // rest-typings' validators make one type of another where they can; over the wire that is none.
    return isDeepStrictEqual(body, sent) ? found : [...found, "has a type that had to be changed"];
}

function read(line) {
    const { kind, body } = JSON.parse(line);
    const validate = validatorOf(kind);
    if (!validate) {
        throw new Error(`no such kind: ${kind}`);
    }
    return [validate, body];
}

let wrong = false;
for await (const line of createInterface({ input: process.stdin })) {
    try {
        const found = judge(...read(line));
        wrong ||= found.length > 0;
        console.log(JSON.stringify(found));
    } catch (error) {
        console.error(`judge: ${error.message}`);
        process.exit(2);
    }
}
process.exitCode = wrong ? 1 : 0;
