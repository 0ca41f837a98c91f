//! Events → a whole answer, and back: a whole answer is a stream that was waited for.
