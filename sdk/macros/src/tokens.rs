//! Small questions about tokens.

use proc_macro::{TokenStream, TokenTree};

/// Whether a token is this word.
pub(crate) fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident.to_string() == word)
}

/// Code that does not compile, and says why.
pub(crate) fn error(message: &str) -> TokenStream {
    code(&format!("::core::compile_error!({message:?});"))
}

/// Code in text as tokens.
pub(crate) fn code(text: &str) -> TokenStream {
    #[expect(
        clippy::expect_used,
        reason = "the text is written in this crate, and a mistake shows in any build"
    )]
    text.parse().expect("code of this crate")
}
