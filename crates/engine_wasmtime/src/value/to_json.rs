//! Values as JSON.

use wasmtime::component::Val;

/// The JSON of a value.
///
/// # Errors
/// When it has more bytes than `most`, or is one that has no form in JSON.
pub(super) fn text(value: &Val, most: usize) -> Result<String, String> {
    let mut writer = Writer { text: String::new(), most };
    writer.value(value)?;
    Ok(writer.text)
}

struct Writer {
    text: String,
    most: usize,
}

impl Writer {
    fn push(&mut self, part: &str) -> Result<(), String> {
        if self.text.len() + part.len() > self.most {
            return Err(format!("it returned more than {} bytes of JSON, which is the most", self.most));
        }
        self.text.push_str(part);
        Ok(())
    }

    fn string(&mut self, text: &str) -> Result<(), String> {
        // Most is not longer than what it stands for; what is far too long is not even copied.
        if text.len() > self.most {
            return self.push(text);
        }
        self.push(&serde_json::Value::from(text).to_string())
    }

    fn list<T>(
        &mut self,
        brackets: [&str; 2],
        items: impl IntoIterator<Item = T>,
        mut item: impl FnMut(&mut Self, T) -> Result<(), String>,
    ) -> Result<(), String> {
        self.push(brackets[0])?;
        for (index, value) in items.into_iter().enumerate() {
            if index > 0 {
                self.push(",")?;
            }
            item(self, value)?;
        }
        self.push(brackets[1])
    }

    /// An object with one key.
    fn only(&mut self, key: &str, value: Option<&Val>) -> Result<(), String> {
        self.push("{")?;
        self.string(key)?;
        self.push(":")?;
        match value {
            Some(value) => self.value(value)?,
            None => self.push("null")?,
        }
        self.push("}")
    }

    /// A float with the fewest digits that name it.
    fn float(&mut self, finite: bool, text: &str) -> Result<(), String> {
        if finite { self.push(text) } else { self.string(text) }
    }

    fn value(&mut self, value: &Val) -> Result<(), String> {
        match value {
            Val::Bool(value) => self.push(if *value { "true" } else { "false" }),
            Val::S8(value) => self.push(&value.to_string()),
            Val::U8(value) => self.push(&value.to_string()),
            Val::S16(value) => self.push(&value.to_string()),
            Val::U16(value) => self.push(&value.to_string()),
            Val::S32(value) => self.push(&value.to_string()),
            Val::U32(value) => self.push(&value.to_string()),
            Val::S64(value) => self.push(&value.to_string()),
            Val::U64(value) => self.push(&value.to_string()),
            Val::Float32(value) => self.float(value.is_finite(), &format!("{value:?}")),
            Val::Float64(value) => self.float(value.is_finite(), &format!("{value:?}")),
            Val::Char(value) => self.string(value.encode_utf8(&mut [0; 4])),
            Val::String(text) | Val::Enum(text) => self.string(text),
            Val::List(items) | Val::FixedLengthList(items) | Val::Tuple(items) => {
                self.list(["[", "]"], items, Self::value)
            }
            Val::Map(pairs) => self.list(["[", "]"], pairs, |writer, (key, value)| {
                writer.list(["[", "]"], [key, value], Self::value)
            }),
            Val::Record(fields) => self.list(["{", "}"], fields, |writer, (name, value)| {
                writer.string(name)?;
                writer.push(":")?;
                writer.value(value)
            }),
            Val::Variant(case, None) => self.string(case),
            Val::Variant(case, payload) => self.only(case, payload.as_deref()),
            Val::Option(None) => self.push("null"),
            Val::Option(Some(value)) => match &**value {
                Val::Option(_) => self.only("some", Some(value)),
                value => self.value(value),
            },
            Val::Result(Ok(value)) => self.only("ok", value.as_deref()),
            Val::Result(Err(value)) => self.only("err", value.as_deref()),
            Val::Flags(names) => self.list(["[", "]"], names, |writer, name| writer.string(name)),
            Val::Resource(_) | Val::Future(_) | Val::Stream(_) | Val::ErrorContext(_) => {
                Err("it returned a resource, which has no form in JSON".to_owned())
            }
        }
    }
}
