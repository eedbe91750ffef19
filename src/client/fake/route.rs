//! Which requests an answer is for.

use std::fmt;

use http::{Method, Uri};

/// A method, if not all, and a path in which `*` stands for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    method: Option<Method>,
    path: String,
}

impl Route {
    pub fn of(text: &str) -> Result<Self, String> {
        let (method, path) = match text.split_once(' ') {
            Some((method, path)) => (Some(method), path.trim_start()),
            None => (None, text),
        };
        if !path.starts_with(['/', '*']) {
            return Err(format!("`{text}` is no route: write it like `GET /items`, `/items/*` or `*`"));
        }
        let method = match method {
            None => None,
            Some(name) => match Method::from_bytes(name.as_bytes()) {
                Ok(method) if name.bytes().all(|byte| !byte.is_ascii_lowercase()) => Some(method),
                _ => return Err(format!("`{name}` is no method: methods are written like GET and POST")),
            },
        };
        Ok(Route { method, path: path.to_owned() })
    }

    pub fn fits(&self, method: &Method, url: &Uri) -> bool {
        if self.method.as_ref().is_some_and(|own| own != method) {
            return false;
        }
        let whole = url.path_and_query().map_or("/", |both| both.as_str());
        matches(&self.path, if self.path.contains('?') { whole } else { url.path() })
    }

    /// The more it says, the higher.
    pub fn precision(&self) -> (usize, bool, bool) {
        let stars = self.path.bytes().filter(|byte| *byte == b'*').count();
        (self.path.len() - stars, stars == 0, self.method.is_some())
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.method {
            Some(method) => write!(f, "{method} {}", self.path),
            None => f.write_str(&self.path),
        }
    }
}

/// Between stars, each part is taken where it comes first: what comes later leaves less for the parts after it.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, fits) in [
            ("*", "/", true),
            ("/items", "/items", true),
            ("/items", "/items/1", false),
            ("/items/*", "/items/1/2", true),
            ("/items/*", "/items", false),
            ("/*/b", "/a/b/b", true),
            ("/*a*a*", "/aa", true),
            ("/*a*a*", "/a", false),
            ("/ab*ba", "/aba", false),
            ("**", "/x", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn what_says_more_comes_first() {
        let mut routes =
            ["*", "/items*", "GET /items", "/items", "/items?page=2"].map(|text| Route::of(text).unwrap());
        routes.sort_by_key(Route::precision);
        assert_eq!(
            routes.map(|route| route.to_string()),
            ["*", "/items*", "/items", "GET /items", "/items?page=2"]
        );
        for wrong in ["items", "", "get /", "G(T /", "GET items", "https://a/"] {
            assert!(Route::of(wrong).is_err(), "{wrong}");
        }
        let paged = Route::of("/items?page=*").unwrap();
        assert!(paged.fits(&Method::GET, &"http://a/items?page=3".parse().unwrap()));
        assert!(!paged.fits(&Method::GET, &"http://a/items".parse().unwrap()));
    }
}
