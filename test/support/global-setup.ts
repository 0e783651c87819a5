/** Replaced below: the parts that all test files of one run share. */
export default function setup(): void {}
