/** The longest partition name in bytes of UTF-8. */
export const PARTITION_BYTES_MAX: number = 512;

/** The longest key in bytes. */
export const KEY_BYTES_MAX: number = 1_024;

/** How many items one page of a scan holds at most. */
export const SCAN_ITEMS_MAX: number = 10_000;

/** How many items a page holds if the range does not say. */
export const SCAN_ITEMS_DEFAULT: number = 1_000;

/** How many keys one `get` may ask for. */
export const GET_KEYS_MAX: number = 10_000;

/**
 * How many bytes of keys and values a page should hold before it ends early: the item that passes it is its last. A
 * backend may end pages sooner, but gives at least one item.
 */
export const PAGE_BYTES_TARGET: number = 8 * 1_024 * 1_024;
