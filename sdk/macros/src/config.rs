//! `#[config]`: the derives of a configuration, with the crates that the SDK brings along.

use proc_macro::{Delimiter, Spacing, TokenStream, TokenTree};

use crate::tokens::{code, is_word};

/// The item with its derives before it.
pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let is_struct = item
        .clone()
        .into_iter()
        .any(|token| is_word(&token, "struct"));
    let own = own_attributes(&item);
    let mut serde = vec!["crate = \"::portcullis_sdk::serde\""];
    if !own.contains("rename_all") && !own.contains("untagged") {
        serde.push("rename_all = \"camelCase\"");
    }
    let open = ["deny_unknown_fields", "transparent", "try_from", "from"];
    if is_struct && !open.iter().any(|word| own.contains(word)) {
        serde.push("deny_unknown_fields");
    }
    let mut all = code(&format!(
        "#[derive(::portcullis_sdk::serde::Deserialize, ::portcullis_sdk::schemars::JsonSchema)]
         #[serde({})]
         #[schemars(crate = \"::portcullis_sdk::schemars\")]",
        serde.join(", ")
    ));
    all.extend(item);
    all
}

/// The text of the attributes that stand on the item itself, but for its documentation.
fn own_attributes(item: &TokenStream) -> String {
    let mut text = String::new();
    let mut tokens = item.clone().into_iter();
    while let Some(TokenTree::Punct(hash)) = tokens.next() {
        let is_hash = hash.as_char() == '#' && hash.spacing() == Spacing::Alone;
        match tokens.next() {
            Some(TokenTree::Group(group)) if is_hash && group.delimiter() == Delimiter::Bracket => {
                let first = group.stream().into_iter().next();
                if first.is_some_and(|token| is_word(&token, "serde")) {
                    text.push_str(&group.to_string());
                }
            }
            _ => break,
        }
    }
    text
}
