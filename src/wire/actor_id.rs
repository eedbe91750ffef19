//! Ids of Durable Objects, made and checked as workerd makes them.
//!
//! An id is 32 bytes: 16 that say which object, and 16 that prove which class. The key of a class is the SHA-256 of
//! its unique key. A name's first half is its HMAC-SHA-256 under that key, cut to 16 bytes; the second half is the
//! same of the first.

use std::fmt;

use sha2::{Digest, Sha256};

/// Which object of a class.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ActorId(Kind);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    /// Of a class whose objects are stored.
    Stored([u8; 32]),
    /// Of a class whose objects are not: any text is an object.
    Ephemeral(String),
}

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActorIdError {
    /// workerd would take other characters for zeros, and open another object.
    #[error("`{0}` is not the id of an object: it has characters other than 0-9 and a-f")]
    NotHex(String),
    /// Too long or too short.
    #[error("`{0}` is not the id of an object: it has {1} digits, and ids have 64")]
    Length(String, usize),
    /// The id is of another class, or mistyped: workerd would open an object that no worker can name.
    #[error("{0} is not the id of an object of the class with the unique key `{1}`")]
    OtherClass(ActorId, String),
}

impl ActorId {
    /// The object of that name, like `idFromName` of a namespace whose class has this unique key.
    ///
    /// ```
    /// # use jackfield::wire::actor_id::ActorId;
    /// let id = ActorId::from_name("api-Room", "lobby");
    /// assert_eq!(ActorId::from_hex(&id.to_string()), Ok(id));
    /// ```
    pub fn from_name(unique_key: &str, name: &str) -> Self {
        ActorId::of_base(&class_key(unique_key), &hmac(&class_key(unique_key), name.as_bytes()))
    }

    /// A new object from 16 random bytes, like `newUniqueId`.
    pub fn from_random(unique_key: &str, random: [u8; 16]) -> Self {
        ActorId::of_base(&class_key(unique_key), &random)
    }

    /// The object with this id in 64 hexadecimal digits, like `idFromString`. That it is of the right class is not
    /// checked: see [`ActorId::is_of`].
    ///
    /// # Errors
    /// It is not 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, ActorIdError> {
        if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ActorIdError::NotHex(text.to_owned()));
        }
        let mut id = [0; 32];
        hex::decode_to_slice(text, &mut id).map_err(|_| ActorIdError::Length(text.to_owned(), text.len()))?;
        Ok(ActorId(Kind::Stored(id)))
    }

    /// As [`ActorId::from_hex`], for an object of the class with this unique key.
    ///
    /// # Errors
    /// Also if the id is of another class.
    pub fn from_hex_of(unique_key: &str, text: &str) -> Result<Self, ActorIdError> {
        let id = ActorId::from_hex(text)?;
        match id.is_of(unique_key) {
            true => Ok(id),
            false => Err(ActorIdError::OtherClass(id, unique_key.to_owned())),
        }
    }

    /// An object of an ephemeral class, which takes any text.
    pub fn ephemeral(text: impl Into<String>) -> Self {
        ActorId(Kind::Ephemeral(text.into()))
    }

    /// Whether it is an id of the class with this unique key, as far as can be known: ephemeral classes have none.
    pub fn is_of(&self, unique_key: &str) -> bool {
        match &self.0 {
            Kind::Stored(id) => {
                let base = id.first_chunk().copied().unwrap_or_default();
                *self == ActorId::from_random(unique_key, base)
            }
            Kind::Ephemeral(_) => false,
        }
    }

    fn of_base(key: &[u8; 32], base: &[u8]) -> Self {
        let mut id = [0; 32];
        let (first, second) = id.split_at_mut(16);
        first.iter_mut().zip(base).for_each(|(to, from)| *to = *from);
        let proof = hmac(key, first);
        second.iter_mut().zip(proof).for_each(|(to, from)| *to = from);
        ActorId(Kind::Stored(id))
    }
}

/// What the debug port takes, and `id.toString()` gives.
impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Stored(id) => f.write_str(&hex::encode(id)),
            Kind::Ephemeral(text) => f.write_str(text),
        }
    }
}

fn class_key(unique_key: &str) -> [u8; 32] {
    Sha256::digest(unique_key.as_bytes()).into()
}

/// HMAC-SHA-256 with a key that is shorter than its block of 64 bytes.
fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let padded = |pad: u8| {
        let mut block = [pad; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_that_of_the_class() {
        let id = ActorId::from_name("a", "");
        assert!(id.is_of("a") && !id.is_of("b"));
        assert!(ActorId::from_random("a", [7; 16]).is_of("a"));
        assert_eq!(ActorId::from_hex_of("a", &id.to_string()), Ok(id.clone()));
        assert!(matches!(ActorId::from_hex_of("b", &id.to_string()), Err(ActorIdError::OtherClass(..))));
        let mut mistyped = id.to_string();
        mistyped.replace_range(0..1, if mistyped.starts_with('0') { "1" } else { "0" });
        assert!(ActorId::from_hex_of("a", &mistyped).is_err());
    }

    #[test]
    fn what_workerd_would_take_for_zeros_is_refused() {
        assert!(matches!(ActorId::from_hex(&"g".repeat(64)), Err(ActorIdError::NotHex(_))));
        assert!(matches!(ActorId::from_hex("abc"), Err(ActorIdError::Length(_, 3))));
        assert!(matches!(ActorId::from_hex(""), Err(ActorIdError::Length(_, 0))));
        let upper = ActorId::from_hex(&"AB".repeat(32)).unwrap();
        assert_eq!(upper.to_string(), "ab".repeat(32));
        assert!(!ActorId::ephemeral("ab".repeat(32)).is_of("a"));
    }
}
