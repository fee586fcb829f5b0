//! Types as WIT has them.

use wasmtime::component::types::{ComponentFunc, Type};

/// The parameters and the result of a function: `(id: u32) -> string`.
pub(crate) fn signature(function: &ComponentFunc) -> String {
    let params: Vec<String> =
        function.params().map(|(name, ty)| format!("{name}: {}", name_of(&ty))).collect();
    let result: String = function.results().map(|ty| format!(" -> {}", name_of(&ty))).collect();
    format!("({}){result}", params.join(", "))
}

/// The name of a type, with those in it; what is named in a document has lost its name here.
pub(super) fn name_of(ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".to_owned(),
        Type::S8 => "s8".to_owned(),
        Type::U8 => "u8".to_owned(),
        Type::S16 => "s16".to_owned(),
        Type::U16 => "u16".to_owned(),
        Type::S32 => "s32".to_owned(),
        Type::U32 => "u32".to_owned(),
        Type::S64 => "s64".to_owned(),
        Type::U64 => "u64".to_owned(),
        Type::Float32 => "f32".to_owned(),
        Type::Float64 => "f64".to_owned(),
        Type::Char => "char".to_owned(),
        Type::String => "string".to_owned(),
        Type::List(list) => format!("list<{}>", name_of(&list.ty())),
        Type::FixedLengthList(list) => format!("list<{}, {}>", name_of(&list.ty()), list.len()),
        Type::Map(map) => format!("map<{}, {}>", name_of(&map.key()), name_of(&map.value())),
        Type::Tuple(tuple) => format!("tuple<{}>", join(tuple.types().map(|ty| name_of(&ty)))),
        Type::Option(option) => format!("option<{}>", name_of(&option.ty())),
        Type::Result(result) => match (result.ok(), result.err()) {
            (None, None) => "result".to_owned(),
            (Some(ok), None) => format!("result<{}>", name_of(&ok)),
            (ok, Some(err)) => {
                format!("result<{}, {}>", ok.map_or_else(|| "_".to_owned(), |ok| name_of(&ok)), name_of(&err))
            }
        },
        Type::Record(record) => {
            format!(
                "record {{ {} }}",
                join(record.fields().map(|field| format!("{}: {}", field.name, name_of(&field.ty))))
            )
        }
        Type::Variant(variant) => {
            let case = |case: wasmtime::component::types::Case<'_>| match case.ty {
                Some(ty) => format!("{}({})", case.name, name_of(&ty)),
                None => case.name.to_owned(),
            };
            format!("variant {{ {} }}", join(variant.cases().map(case)))
        }
        Type::Enum(cases) => format!("enum {{ {} }}", join(cases.names().map(str::to_owned))),
        Type::Flags(flags) => format!("flags {{ {} }}", join(flags.names().map(str::to_owned))),
        Type::Own(_) => "own<resource>".to_owned(),
        Type::Borrow(_) => "borrow<resource>".to_owned(),
        Type::Future(_) => "future".to_owned(),
        Type::Stream(_) => "stream".to_owned(),
        Type::ErrorContext => "error-context".to_owned(),
    }
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}
