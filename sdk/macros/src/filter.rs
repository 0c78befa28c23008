//! `#[filter]`: which hooks an `impl` has, and their exports.

use proc_macro::{Delimiter, TokenStream, TokenTree};

use crate::tokens::{code, is_word};

/// Each hook's method, with the world that exports it.
const HOOKS: [(&str, &str); 5] = [
    ("on_request", "request_filter"),
    ("on_response", "response_filter"),
    ("on_request_body", "request_body_filter"),
    ("on_response_body", "response_body_filter"),
    ("on_response_chunk", "response_stream_filter"),
];

/// The exports of `impl Filter for …`, for the target that the gateway runs.
pub(crate) fn exports(item: TokenStream) -> Result<TokenStream, String> {
    let (filter, body) = parts(item).ok_or("`#[filter]` stands on `impl Filter for YourType`")?;
    let methods = methods(body);
    let worlds: Vec<&str> = HOOKS
        .into_iter()
        .filter(|(method, _)| methods.iter().any(|name| name == method))
        .map(|(_, world)| world)
        .collect();
    if worlds.is_empty() {
        let hooks = HOOKS.map(|(method, _)| format!("`{method}`")).join(", ");
        return Err(format!("this filter has no hook: write one of {hooks}"));
    }
    let mut exports = String::new();
    for world in ["base"].into_iter().chain(worlds) {
        let module = format!("::portcullis_sdk::export::bindings::{world}");
        exports.push_str(&format!(
            "{module}::export!(PortcullisExport with_types_in {module});"
        ));
    }
    Ok(code(&format!(
        "const _: () = {{
            impl ::portcullis_sdk::export::Named for {filter} {{
                const NAME: &'static str = ::core::env!(\"CARGO_PKG_NAME\");
                const VERSION: &'static str = ::core::env!(\"CARGO_PKG_VERSION\");
            }}
        }};
        // Elsewhere nothing calls a filter but its tests: it is not dead code.
        #[cfg(not(target_family = \"wasm\"))]
        const _: fn(&str) = ::portcullis_sdk::export::use_it::<{filter}>;
        #[cfg(target_family = \"wasm\")]
        const _: () = {{
            impl ::portcullis_sdk::export::Exported for {filter} {{
                fn table() -> &'static ::std::thread::LocalKey<::portcullis_sdk::export::Table<Self>> {{
                    ::std::thread_local! {{
                        static TABLE: ::portcullis_sdk::export::Table<{filter}> =
                            const {{ ::portcullis_sdk::export::Table::new() }};
                    }}
                    &TABLE
                }}
            }}
            type PortcullisExport = ::portcullis_sdk::export::Export<{filter}>;
            {exports}
        }};"
    )))
}

/// The type that an `impl Trait for Type { … }` is for, and what is between its braces.
fn parts(item: TokenStream) -> Option<(String, TokenStream)> {
    let mut tokens = item.into_iter().skip_while(|token| !is_word(token, "impl"));
    tokens.find(|token| is_word(token, "for"))?;
    let mut filter = TokenStream::new();
    for token in tokens {
        if let TokenTree::Group(group) = &token
            && group.delimiter() == Delimiter::Brace
        {
            let named = !filter.is_empty();
            return named.then(|| (filter.to_string(), group.stream()));
        }
        filter.extend([token]);
    }
    None
}

/// The names of the functions of an `impl`. Those inside of functions are in groups, and not seen.
fn methods(body: TokenStream) -> Vec<String> {
    let tokens: Vec<TokenTree> = body.into_iter().collect();
    let pairs = tokens.iter().zip(tokens.iter().skip(1));
    pairs
        .filter(|(word, _)| is_word(word, "fn"))
        .map(|(_, name)| name.to_string())
        .collect()
}
