//! Which backend a request reaches: hosts, paths, default backends, classes, ports, conflicts.

mod classes;
mod conflicts;
mod defaults;
mod endpoints;
mod hosts;
mod paths;
