//! The sandbox: WebAssembly components as filters of the proxy. Empty until filter chains arrive.
