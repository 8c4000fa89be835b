/** The version in the header of the seed's BinaryFormat. */
export const PICKLE_VERSION = 1;
