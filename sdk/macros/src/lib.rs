//! The two attributes of `portcullis-sdk`. They read so little of what they stand on that they need
//! no parser: building a filter stays fast.

mod config;
mod filter;
mod tokens;

use proc_macro::TokenStream;

/// Makes an `impl Filter for …` what the gateway loads. The hooks that are written there are exported,
/// and only those: a hook that a filter does not have costs nothing.
#[proc_macro_attribute]
pub fn filter(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let exports = if arguments.is_empty() {
        filter::exports(item.clone())
    } else {
        Err("`#[filter]` takes no arguments".to_owned())
    };
    let mut all = item;
    all.extend(exports.unwrap_or_else(|message| tokens::error(&message)));
    all
}

/// Makes a struct or an enum part of a filter's configuration: it is read from JSON, and described by a
/// JSON Schema in which its doc comments stand. Keys are written in `camelCase`, as everywhere in
/// Kubernetes, and a key that the struct does not have is an error; `serde` attributes of the item
/// itself go first.
#[proc_macro_attribute]
pub fn config(arguments: TokenStream, item: TokenStream) -> TokenStream {
    if arguments.is_empty() {
        config::derive(item)
    } else {
        tokens::error("`#[config]` takes no arguments; use `#[serde(…)]` beside it")
    }
}
