// Validates bodies against the JSON schemas that Rocket.Chat itself ships.
//
//   node validate.mjs < lines of JSON, each {"kind": …, "body": …}
//
// A kind is the name of a schema of core-typings (IImport, ProgressStep), or the status of an error
// that rest-typings has a validator for: 400, 401, 403, 404, 500. Prints for each line a JSON list
// of its errors. Exit status: 0 if there are none, 1 if there are any, 2 if a line cannot be read
// or its kind is unknown.

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

// Not strict: the schemas are in an OpenAPI document, which has more keys than a schema.
const ajv = new Ajv({ allErrors: true, strict: false });
addFormats(ajv);
ajv.addSchema(schemas, "core-typings");

function validatorOf(kind) {
    return ERRORS[kind] ?? ajv.getSchema(`core-typings#/components/schemas/${kind}`);
}

function validationErrors(validate, body) {
    const sent = structuredClone(body);
    const errors = validate(body) ? [] : validate.errors;
    const messages = errors.map(({ instancePath, message }) => `${instancePath} ${message}`.trim());
    // rest-typings' validators convert types where they can; over the wire the type is wrong.
    return isDeepStrictEqual(body, sent) ? messages : [...messages, "has a type that had to be changed"];
}

function parse(line) {
    const { kind, body } = JSON.parse(line);
    const validate = validatorOf(kind);
    if (!validate) {
        throw new Error(`unknown kind: ${kind}`);
    }
    return [validate, body];
}

let hasErrors = false;
for await (const line of createInterface({ input: process.stdin })) {
    try {
        const errors = validationErrors(...parse(line));
        hasErrors ||= errors.length > 0;
        console.log(JSON.stringify(errors));
    } catch (error) {
        console.error(`validate: ${error.message}`);
        process.exit(2);
    }
}
process.exitCode = hasErrors ? 1 : 0;
