//! The sentences, longest and most particular first.

mod advice;
mod causes;
mod kernel;
mod looks;
mod losses;
mod names;
mod sight;

/// English, `{}` for what changes, and Chinese, `{0}` for what stood in the first gap.
pub type Sentence = (&'static str, &'static str);

/// All of them, in the order in which they are tried.
pub fn all() -> impl Iterator<Item = &'static Sentence> {
    [
        sight::ALL,
        looks::ALL,
        causes::ALL,
        names::ALL,
        kernel::ALL,
        advice::ALL,
        losses::ALL,
    ]
    .into_iter()
    .flatten()
}
