//! Values of `.env` files that name other values.

use std::collections::BTreeMap;

/// A value that grows beyond this is cut: a few lines can double each other as often as one likes.
const MAX_VALUE: usize = 1 << 20;

/// All values, with what `$NAME`, `${NAME}` and `${NAME:-default}` stand for put in; `\$` is a dollar. Those of `fixed`
/// are as they are.
pub(super) fn all(
    values: &BTreeMap<String, String>,
    fixed: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut expander = Expander { values, fixed, done: BTreeMap::new() };
    values.keys().map(|name| (name.clone(), expander.value(name))).collect()
}

struct Expander<'a> {
    values: &'a BTreeMap<String, String>,
    fixed: &'a BTreeMap<String, String>,
    /// Each value is expanded once. Empty while it is: so a circle ends.
    done: BTreeMap<String, String>,
}

impl Expander<'_> {
    fn value(&mut self, name: &str) -> String {
        if let Some(value) = self.fixed.get(name).or_else(|| self.done.get(name)) {
            return value.clone();
        }
        let Some(text) = self.values.get(name) else { return String::new() };
        self.done.insert(name.to_owned(), String::new());
        let value = self.expand(text);
        self.done.insert(name.to_owned(), value.clone());
        value
    }

    fn expand(&mut self, text: &str) -> String {
        let (mut expanded, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once('$').filter(|_| expanded.len() < MAX_VALUE) {
            if let Some(before) = before.strip_suffix('\\') {
                expanded.extend([before, "$"]);
                rest = after;
                continue;
            }
            expanded.push_str(before);
            let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let plain = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            rest = match braced {
                Some((inner, after)) => {
                    let split = inner.split_once(":-").or(inner.split_once('-'));
                    let (name, default) = split.unwrap_or((inner, ""));
                    let value = self.value(name);
                    expanded.push_str(if value.is_empty() { default } else { &value });
                    after
                }
                None if plain == 0 => {
                    expanded.push('$');
                    after
                }
                None => {
                    let (name, after) = after.split_at(plain);
                    expanded.push_str(&self.value(name));
                    after
                }
            };
        }
        expanded.push_str(rest);
        expanded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_name_others_and_circles_end() {
        let values: BTreeMap<_, _> = [
            ("HOST", "h:${PORT:-80}"),
            ("URL", "http://${HOST}/$USER?a=\\$1$"),
            ("A", "<$B>"),
            ("B", "$A"),
            ("C", "${NONE}x"),
            ("D", "$ 5"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let fixed = BTreeMap::from([("USER".to_owned(), "$me".to_owned())]);
        let expanded = all(&values, &fixed);
        assert_eq!(expanded["URL"], "http://h:80/$me?a=$1$");
        assert_eq!((&*expanded["A"], &*expanded["C"], &*expanded["D"]), ("<>", "x", "$ 5"));
    }

    #[test]
    fn doubling_ends() {
        let doubled = |n: usize| (format!("V{n}"), format!("$V{}$V{}", n + 1, n + 1));
        let mut values: BTreeMap<_, _> = (0..60).map(doubled).collect();
        values.insert("V60".to_owned(), "ha".to_owned());
        assert!(all(&values, &BTreeMap::new())["V0"].len() <= 3 * MAX_VALUE);
    }
}
