import manifest from '../../package.json' with { type: 'json' };

/** The version of mlv itself, as package.json has it; a constant in the bundle. */
export const VERSION: string = manifest.version;
