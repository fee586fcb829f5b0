//! Values from JSON, by the type that is wanted.

use std::fmt;

use serde_json::{Map, Value};
use wasmtime::component::Val;
use wasmtime::component::types::Type;

use super::types::name_of;

/// Why a value does not fit, and where in the argument it is.
#[derive(Debug)]
pub(super) struct Fault {
    /// Steps from the argument to the value, outermost first: `.users[3]`.
    path: String,
    why: String,
}

impl Fault {
    fn new(why: impl Into<String>) -> Self {
        Self { path: String::new(), why: why.into() }
    }

    fn within(mut self, step: impl fmt::Display) -> Self {
        self.path = format!("{step}{}", self.path);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.why)
    }
}

/// A value of a type.
///
/// # Errors
/// Where it is of another type.
pub(super) fn value(ty: &Type, json: Value) -> Result<Val, Fault> {
    Ok(match ty {
        Type::Bool => Val::Bool(json.as_bool().ok_or_else(|| unlike(ty, &json))?),
        Type::S8 => Val::S8(integer(ty, &json)?),
        Type::U8 => Val::U8(integer(ty, &json)?),
        Type::S16 => Val::S16(integer(ty, &json)?),
        Type::U16 => Val::U16(integer(ty, &json)?),
        Type::S32 => Val::S32(integer(ty, &json)?),
        Type::U32 => Val::U32(integer(ty, &json)?),
        Type::S64 => Val::S64(integer(ty, &json)?),
        Type::U64 => Val::U64(integer(ty, &json)?),
        Type::Float32 => Val::Float32(float(ty, &json)? as f32),
        Type::Float64 => Val::Float64(float(ty, &json)?),
        Type::Char => {
            let mut chars = json.as_str().unwrap_or_default().chars();
            match (chars.next(), chars.next()) {
                (Some(only), None) => Val::Char(only),
                _ => return Err(unlike(ty, &json)),
            }
        }
        Type::String => match json {
            Value::String(text) => Val::String(text),
            other => return Err(unlike(ty, &other)),
        },
        Type::List(list) => Val::List(items(ty, &list.ty(), json)?),
        Type::FixedLengthList(list) => {
            let items = items(ty, &list.ty(), json)?;
            if items.len() != list.len() as usize {
                return Err(Fault::new(format!("expected {} items, found {}", list.len(), items.len())));
            }
            Val::FixedLengthList(items)
        }
        Type::Map(map) => {
            let pair = |json| match <[Value; 2]>::try_from(array(ty, json)?) {
                Ok([key, item]) => Ok((value(&map.key(), key)?, value(&map.value(), item)?)),
                Err(_) => Err(Fault::new("expected an array of a key and a value")),
            };
            let pairs = array(ty, json)?.into_iter().enumerate();
            Val::Map(
                pairs
                    .map(|(index, json)| pair(json).map_err(|fault| fault.within(at(index))))
                    .collect::<Result<_, _>>()?,
            )
        }
        Type::Tuple(tuple) => {
            let array = array(ty, json)?;
            if array.len() != tuple.types().len() {
                let why = format!("expected {} items, found {}", tuple.types().len(), array.len());
                return Err(Fault::new(why));
            }
            let items = tuple.types().zip(array).enumerate();
            let item = |(index, (ty, json))| value(&ty, json).map_err(|fault| fault.within(at(index)));
            Val::Tuple(items.map(item).collect::<Result<_, _>>()?)
        }
        Type::Record(record) => {
            let mut object = match json {
                Value::Object(object) => object,
                other => return Err(unlike(ty, &other)),
            };
            let mut fields = Vec::with_capacity(record.fields().len());
            for field in record.fields() {
                let json = take(&mut object, field.name);
                // What is optional may be left out.
                let json = match (json, &field.ty) {
                    (Some(json), _) => json,
                    (None, Type::Option(_)) => Value::Null,
                    (None, ty) => {
                        return Err(Fault::new(format!(
                            "the field {:?} ({}) is missing",
                            field.name,
                            name_of(ty)
                        )));
                    }
                };
                let item =
                    value(&field.ty, json).map_err(|fault| fault.within(format!(".{}", field.name)))?;
                fields.push((field.name.to_owned(), item));
            }
            if let Some(stranger) = object.keys().next() {
                return Err(Fault::new(format!("there is no field {stranger:?} in {}", name_of(ty))));
            }
            Val::Record(fields)
        }
        Type::Variant(variant) => {
            let (name, payload) = case(ty, json)?;
            let Some(found) = variant.cases().find(|case| same(case.name, &name)) else {
                return Err(Fault::new(format!("expected {}, found the case {name:?}", name_of(ty))));
            };
            let payload = within(found.ty, payload, found.name)?;
            Val::Variant(found.name.to_owned(), payload)
        }
        Type::Result(result) => match case(ty, json)? {
            (name, payload) if name == "ok" => Val::Result(Ok(within(result.ok(), payload, "ok")?)),
            (name, payload) if name == "err" => Val::Result(Err(within(result.err(), payload, "err")?)),
            (name, _) => {
                return Err(Fault::new(format!("expected {{\"ok\": …}} or {{\"err\": …}}, found {name:?}")));
            }
        },
        Type::Option(option) => {
            let inner = option.ty();
            match json {
                Value::Null => Val::Option(None),
                Value::Object(mut object) if matches!(inner, Type::Option(_)) && object.len() == 1 => {
                    match object.remove("some") {
                        Some(json) => Val::Option(Some(Box::new(
                            value(&inner, json).map_err(|fault| fault.within(".some"))?,
                        ))),
                        None => return Err(Fault::new("expected null or {\"some\": …}")),
                    }
                }
                json => Val::Option(Some(Box::new(value(&inner, json)?))),
            }
        }
        Type::Enum(cases) => {
            let wanted = json.as_str().ok_or_else(|| unlike(ty, &json))?;
            let found = cases.names().find(|name| same(name, wanted));
            Val::Enum(
                found
                    .ok_or_else(|| Fault::new(format!("expected {}, found {wanted:?}", name_of(ty))))?
                    .to_owned(),
            )
        }
        Type::Flags(flags) => {
            let mut set = Vec::new();
            for (index, json) in array(ty, json)?.iter().enumerate() {
                let wanted = json.as_str().ok_or_else(|| unlike(&Type::String, json).within(at(index)))?;
                let found = flags.names().find(|name| same(name, wanted));
                set.push(
                    found
                        .ok_or_else(|| {
                            Fault::new(format!("expected {}, found {wanted:?}", name_of(ty)))
                                .within(at(index))
                        })?
                        .to_owned(),
                );
            }
            Val::Flags(set)
        }
        Type::Own(_) | Type::Borrow(_) | Type::Future(_) | Type::Stream(_) | Type::ErrorContext => {
            return Err(Fault::new(format!("{} cannot be given from outside", name_of(ty))));
        }
    })
}

fn at(index: usize) -> String {
    format!("[{index}]")
}

/// Whether a name is the one that is given; `_` is taken for `-`, which other languages have not in names.
fn same(name: &str, given: &str) -> bool {
    name == given || name == given.replace('_', "-")
}

fn take(object: &mut Map<String, Value>, name: &str) -> Option<Value> {
    object.remove(name).or_else(|| object.remove(&name.replace('-', "_")))
}

fn unlike(ty: &Type, json: &Value) -> Fault {
    let found = match json {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    };
    Fault::new(format!("expected {}, found {found}", name_of(ty)))
}

/// Integers of 64 bits may come as texts: JSON of other languages keeps only 53 of them.
fn integer<T: TryFrom<i128>>(ty: &Type, json: &Value) -> Result<T, Fault> {
    let number = match json {
        Value::Number(number) => number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from)),
        Value::String(text) if matches!(ty, Type::S64 | Type::U64) => text.parse::<i128>().ok(),
        _ => None,
    };
    number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| unlike(ty, json))
}

fn float(ty: &Type, json: &Value) -> Result<f64, Fault> {
    let number = match json {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" | "nan" => Some(f64::NAN),
            "inf" | "Infinity" => Some(f64::INFINITY),
            "-inf" | "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    };
    number.ok_or_else(|| unlike(ty, json))
}

fn array(ty: &Type, json: Value) -> Result<Vec<Value>, Fault> {
    match json {
        Value::Array(array) => Ok(array),
        other => Err(unlike(ty, &other)),
    }
}

fn items(ty: &Type, item: &Type, json: Value) -> Result<Vec<Val>, Fault> {
    let items = array(ty, json)?.into_iter().enumerate();
    items.map(|(index, json)| value(item, json).map_err(|fault| fault.within(at(index)))).collect()
}

/// A case and its payload: `"case"`, or an object with the case as its only key.
fn case(ty: &Type, json: Value) -> Result<(String, Option<Value>), Fault> {
    match json {
        Value::String(name) => Ok((name, None)),
        Value::Object(object) if object.len() == 1 => {
            object.into_iter().next().map(|(name, json)| (name, Some(json))).ok_or_else(|| Fault::new(""))
        }
        other => Err(unlike(ty, &other)),
    }
}

/// The payload of a case.
fn within(ty: Option<Type>, json: Option<Value>, case: &str) -> Result<Option<Box<Val>>, Fault> {
    match (ty, json) {
        (None, None | Some(Value::Null)) => Ok(None),
        (None, Some(json)) => {
            let Fault { why, .. } = unlike(&Type::Bool, &json);
            let found = why.rsplit("found ").next().unwrap_or_default().to_owned();
            Err(Fault::new(format!("expected no payload, found {found}")).within(format!(".{case}")))
        }
        (Some(ty), json) => match value(&ty, json.unwrap_or(Value::Null)) {
            Ok(value) => Ok(Some(Box::new(value))),
            Err(fault) => Err(fault.within(format!(".{case}"))),
        },
    }
}
