/** Loaded before mlv: disks do not tell how much room they have, as some network and FUSE file systems do not. */
const fs = require('node:fs');
const { syncBuiltinESMExports } = require('node:module');

const { statfsSync } = fs;
fs.statfsSync = (...args) => ({ ...statfsSync(...args), blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0 });
fs.promises.statfs = async (path) => fs.statfsSync(path);
syncBuiltinESMExports();
