//! Reads a quantity of several words: `2% distance 3 flush 50ms`.

use std::iter::Peekable;
use std::str::{FromStr, SplitWhitespace};

use super::UnitError;

/// The words of `text`, one after the other; an error names the word and shows an example.
pub(crate) struct Words<'a> {
    text: &'a str,
    example: &'static str,
    words: Peekable<SplitWhitespace<'a>>,
}

impl<'a> Words<'a> {
    pub(crate) fn new(text: &'a str, example: &'static str) -> Self {
        Self { text, example, words: text.split_whitespace().peekable() }
    }

    pub(crate) fn next(&mut self) -> Option<&'a str> {
        self.words.next()
    }

    /// Takes the next word if it is `word`.
    pub(crate) fn skip(&mut self, word: &str) -> bool {
        self.words.next_if_eq(&word).is_some()
    }

    /// The next word as a quantity.
    pub(crate) fn quantity<T: FromStr<Err = UnitError>>(&mut self) -> Result<T, UnitError> {
        self.words.next().ok_or_else(|| self.incomplete())?.parse()
    }

    /// The next word as a quantity, if it begins like a number.
    pub(crate) fn number<T: FromStr<Err = UnitError>>(&mut self) -> Result<Option<T>, UnitError> {
        let begins = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        self.words.next_if(begins).map(str::parse).transpose()
    }

    /// The next word as a plain integer.
    pub(crate) fn integer<T: FromStr>(&mut self) -> Result<T, UnitError> {
        let word = self.words.next().ok_or_else(|| self.incomplete())?;
        word.parse().map_err(|_| self.unexpected(word))
    }

    pub(crate) fn unexpected(&self, word: &str) -> UnitError {
        let (value, word) = (self.text.to_owned(), word.to_owned());
        UnitError::UnexpectedWord { value, word, example: self.example }
    }

    fn incomplete(&self) -> UnitError {
        UnitError::Incomplete { value: self.text.to_owned(), example: self.example }
    }

    /// Refuses what is left over.
    pub(crate) fn end(&mut self) -> Result<(), UnitError> {
        match self.words.next() {
            Some(word) => Err(self.unexpected(word)),
            None => Ok(()),
        }
    }
}
