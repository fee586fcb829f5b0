//! The token that a browser shows before it may change something.

use std::fmt;
use std::sync::{PoisonError, RwLock};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest as _, Sha256};

const BYTES: usize = 32;

/// A token's digest; only that is kept, and comparing it takes the same time wherever two tokens differ.
type Digest256 = [u8; 32];

/// The token that holds, and the one that held before.
#[derive(Default)]
pub struct Tokens {
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    holds: Option<Digest256>,
    held: Option<Digest256>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

/// What is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is none.
    Missing,
    /// It is another one.
    Wrong,
    /// It held before the present one.
    Expired,
}

impl Fault {
    /// The name of the error on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "token_missing",
            Self::Wrong => "token_wrong",
            Self::Expired => "token_expired",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the token is missing",
            Self::Wrong => "the token is wrong",
            Self::Expired => "the token is expired",
        })
    }
}

impl Tokens {
    /// Makes another one and returns its text, which is nowhere kept here. The one that held has expired.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn renew(&self) -> Result<String> {
        let mut bytes = [0; BYTES];
        let filled = getrandom(&mut bytes, GetRandomFlags::empty()).context("there are no random bytes")?;
        anyhow::ensure!(filled == BYTES, "there are too few random bytes");
        let text = BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.held = known.holds.replace(Sha256::digest(&text).into());
        Ok(text)
    }

    /// Whether this is the token that holds.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, shown: Option<&[u8]>) -> Result<(), Fault> {
        let shown = shown.filter(|shown| !shown.is_empty()).ok_or(Fault::Missing)?;
        let digest: Digest256 = Sha256::digest(shown).into();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match digest {
            digest if known.holds == Some(digest) => Ok(()),
            digest if known.held == Some(digest) => Err(Fault::Expired),
            _ => Err(Fault::Wrong),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_right_wrong_missing_or_expired() {
        let tokens = Tokens::default();
        assert_eq!(tokens.check(Some(b"x")), Err(Fault::Wrong), "there is none yet");
        let first = tokens.renew().unwrap();
        assert_eq!(first.len(), 43);
        assert_eq!(tokens.check(Some(first.as_bytes())), Ok(()));
        assert_eq!(tokens.check(None), Err(Fault::Missing));
        assert_eq!(tokens.check(Some(b"")), Err(Fault::Missing));
        assert_eq!(tokens.check(Some(&first.as_bytes()[..42])), Err(Fault::Wrong));
        let second = tokens.renew().unwrap();
        assert_ne!(first, second);
        assert_eq!(tokens.check(Some(first.as_bytes())), Err(Fault::Expired));
        assert_eq!(tokens.check(Some(second.as_bytes())), Ok(()));
        tokens.renew().unwrap();
        assert_eq!(tokens.check(Some(first.as_bytes())), Err(Fault::Wrong), "long gone");
        assert!(!format!("{tokens:?}").contains(&second));
    }
}
