"""The tests mirror `src`; `contracts` hold the suites that every backend of a port passes."""
