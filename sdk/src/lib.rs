//! What a plugin author depends on. Empty until filter chains arrive.
