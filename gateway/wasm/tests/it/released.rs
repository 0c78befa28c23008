//! The published interface only grows: what was built against it runs on.

use std::collections::BTreeSet;

use wit_parser::{Function, Resolve, Type, TypeDefKind, TypeId, TypeOwner};

const CURRENT: &str = include_str!("../../../../wit/filter.wit");
const RELEASED: &str = include_str!("../../../../wit/released/filter-0.1.0.wit");

/// Everything that a component can depend on, a line each.
fn items(text: &str) -> BTreeSet<String> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("filter.wit", text).expect("it parses");
    let package = &resolve.packages[package];
    let mut items = BTreeSet::from([format!("package {}", package.name)]);
    for (name, id) in &package.interfaces {
        let interface = &resolve.interfaces[*id];
        for (ty, id) in &interface.types {
            items.insert(format!("{name}: type {ty} = {}", definition(&resolve, *id)));
        }
        for function in interface.functions.values() {
            items.insert(format!("{name}: {}", signature(&resolve, function)));
        }
    }
    for (name, id) in &package.worlds {
        let world = &resolve.worlds[*id];
        let imports = world.imports.keys().map(|key| ("imports", key));
        let exports = world.exports.keys().map(|key| ("exports", key));
        for (verb, key) in imports.chain(exports) {
            items.insert(format!(
                "world {name} {verb} {}",
                resolve.name_world_key(key)
            ));
        }
    }
    items
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let params: Vec<String> = function
        .params
        .iter()
        .map(|param| format!("{}: {}", param.name, name(resolve, &param.ty)))
        .collect();
    let result = function.result.as_ref();
    let result = result.map_or_else(String::new, |ty| name(resolve, ty));
    format!("{}({}) -> {result}", function.name, params.join(", "))
}

/// A type where it is used: by its name and home, if it has one.
fn name(resolve: &Resolve, ty: &Type) -> String {
    let Type::Id(id) = ty else {
        return format!("{ty:?}");
    };
    let def = &resolve.types[*id];
    match (&def.name, def.owner) {
        (Some(name), TypeOwner::Interface(home)) => {
            let home = resolve.interfaces[home].name.as_deref();
            format!("{}.{name}", home.unwrap_or_default())
        }
        _ => definition(resolve, *id),
    }
}

fn definition(resolve: &Resolve, id: TypeId) -> String {
    let optional = |ty: &Option<Type>| {
        ty.as_ref()
            .map_or_else(|| "_".to_owned(), |ty| name(resolve, ty))
    };
    match &resolve.types[id].kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter();
            let fields =
                fields.map(|field| format!("{}: {}", field.name, name(resolve, &field.ty)));
            format!("record {:?}", fields.collect::<Vec<_>>())
        }
        TypeDefKind::Enum(cases) => {
            let cases: Vec<_> = cases.cases.iter().map(|case| &case.name).collect();
            format!("enum {cases:?}")
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter();
            let cases = cases.map(|case| format!("{}({})", case.name, optional(&case.ty)));
            format!("variant {:?}", cases.collect::<Vec<_>>())
        }
        TypeDefKind::Option(ty) => format!("option<{}>", name(resolve, ty)),
        TypeDefKind::List(ty) => format!("list<{}>", name(resolve, ty)),
        TypeDefKind::Result(result) => {
            format!(
                "result<{}, {}>",
                optional(&result.ok),
                optional(&result.err)
            )
        }
        TypeDefKind::Tuple(tuple) => {
            let types: Vec<_> = tuple.types.iter().map(|ty| name(resolve, ty)).collect();
            format!("tuple<{}>", types.join(", "))
        }
        TypeDefKind::Handle(wit_parser::Handle::Own(id)) => {
            format!("own {}", name(resolve, &Type::Id(*id)))
        }
        TypeDefKind::Handle(wit_parser::Handle::Borrow(id)) => {
            format!("borrow {}", name(resolve, &Type::Id(*id)))
        }
        TypeDefKind::Resource => "resource".to_owned(),
        TypeDefKind::Type(ty) => name(resolve, ty),
        other => panic!("the package uses {other:?}: say here how to compare it"),
    }
}

fn missing(text: &str) -> Vec<String> {
    let current = items(text);
    let released = items(RELEASED);
    released.difference(&current).cloned().collect()
}

#[test]
fn the_interface_only_grows() {
    assert_eq!(missing(CURRENT), Vec::<String>::new());
}

#[test]
fn a_change_of_what_is_released_would_be_noticed() {
    assert!(items(RELEASED).len() > 100);
    let changes = [
        ("method: func() -> string;", ""),
        ("client-port: func() -> u16;", "client-port: func() -> u32;"),
        (
            "take: func(key: string, tokens: u32)",
            "take: func(key: string)",
        ),
        ("    too-many,\n", "    too-many,\n    another,\n"),
        (
            "    status: u16,\n    /// Its fields, under",
            "    code: u16,\n    /// Its fields, under",
        ),
        (
            "req: borrow<request>, resp: borrow<response>)",
            "req: borrow<request>)",
        ),
        ("  import clock;\n", ""),
        ("filter@0.1.0", "filter@0.2.0"),
    ];
    for (from, to) in changes {
        assert!(RELEASED.contains(from), "{from}");
        assert!(!missing(&RELEASED.replace(from, to)).is_empty(), "{from}");
    }
    let grown = RELEASED.replace(
        "interface clock {",
        "interface clock {\n  zone: func() -> string;\n",
    );
    assert!(missing(&grown).is_empty());
}

/// The text that the documentation comments of the package have for each item.
#[test]
fn every_item_is_documented() {
    let mut previous = "";
    for line in CURRENT.lines().map(str::trim) {
        let plain = line.starts_with("///")
            || line.is_empty()
            || line.starts_with('}')
            || ["use ", "import ", "export ", "include "]
                .iter()
                .any(|start| line.starts_with(start));
        assert!(
            plain || previous.starts_with("///"),
            "without a word: {line}"
        );
        previous = line;
    }
}
