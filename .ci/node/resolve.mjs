// Rocket.Chat ships rest-typings for bundlers, which do not need file extensions; Node does.

export async function resolve(specifier, context, next) {
    try {
        return await next(specifier, context);
    } catch (error) {
        if (error.code !== "ERR_MODULE_NOT_FOUND" || specifier.endsWith(".js")) {
            throw error;
        }
        return next(`${specifier}.js`, context);
    }
}
