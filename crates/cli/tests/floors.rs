//! The crates stand on floors, and arrows point down: `docs/design.md`, "The house". What that table does not allow
//! fails here.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

/// A crate of ours: on which floor, and which crates it may use.
#[derive(Debug)]
struct Place {
    floor: u32,
    may: BTreeSet<String>,
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Reads the table. Crates are named by their folders.
fn house(page: &str) -> BTreeMap<String, Place> {
    let rows: Vec<(Vec<String>, u32, String)> = page
        .lines()
        .skip_while(|line| !line.starts_with("| crate "))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            // Of `node` (package `sanswarm`) the first name counts.
            let names = cells[0].split('(').next().unwrap().split(',');
            let names = names.map(|name| name.trim().trim_matches('`').to_owned()).collect();
            (names, cells[1].parse().unwrap(), cells[3].to_owned())
        })
        .collect();
    let floors: BTreeMap<String, u32> =
        rows.iter().flat_map(|(names, floor, _)| names.iter().map(|name| (name.clone(), *floor))).collect();
    let up_to = |from: u32, to: u32| -> BTreeSet<String> {
        floors.iter().filter(|(_, floor)| (from..=to).contains(floor)).map(|(name, _)| name.clone()).collect()
    };
    let may = |rule: &str, floor: u32| match rule.split_whitespace().collect::<Vec<_>>()[..] {
        ["nothing"] => BTreeSet::new(),
        ["anything"] => up_to(0, floor),
        ["floors", from, "to", to] => up_to(from.parse().unwrap(), to.parse().unwrap()),
        [name, "and", "below"] => up_to(0, floors[name]),
        _ => rule.split(',').map(|name| name.trim().to_owned()).collect(),
    };
    let place = |floor, rule: &str| Place { floor, may: may(rule, floor) };
    rows.iter().flat_map(|(names, floor, rule)| names.iter().map(|name| (name.clone(), place(*floor, rule)))).collect()
}

/// What the table does not allow: crates that it does not know, and edges.
fn faults(house: &BTreeMap<String, Place>, metadata: &serde_json::Value) -> Vec<String> {
    let mut faults = Vec::new();
    let packages = metadata["packages"].as_array().unwrap();
    let folder = |package: &serde_json::Value| {
        let manifest = package["manifest_path"].as_str().unwrap().to_owned();
        Path::new(&manifest).parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned()
    };
    let folders: BTreeMap<&str, String> =
        packages.iter().map(|package| (package["name"].as_str().unwrap(), folder(package))).collect();
    for package in packages {
        let from = folder(package);
        let Some(place) = house.get(&from) else {
            faults.push(format!("{from} is not in the table"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let Some(to) = folders.get(dependency["name"].as_str().unwrap()) else { continue };
            let sideways = house.get(to).is_none_or(|other| other.floor >= place.floor);
            if !place.may.contains(to) || sideways {
                faults.push(format!("{from} uses {to}"));
            }
        }
    }
    faults
}

fn metadata() -> serde_json::Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let args = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(cargo).args(args).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/design.md")).unwrap()
}

#[test]
fn every_arrow_points_down() {
    let faults = faults(&house(&page()), &metadata());
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn the_table_is_understood() {
    let house = house(&page());
    assert!(house.len() >= 13, "{house:#?}");
    let may = |name: &str| house[name].may.iter().map(String::as_str).collect::<Vec<_>>();
    assert!(may("wire").is_empty());
    assert_eq!(may("multistream-select"), ["multistream", "wire"]);
    assert_eq!(may("yamux"), ["wire"]);
    assert!(may("node").contains(&"connection") && !may("node").contains(&"tokio"));
    assert!(may("tokio").contains(&"node") && !may("tokio").contains(&"std"));
    assert_eq!(house["cli"].floor, 7);
}

#[test]
fn a_made_up_edge_is_found() {
    let house = house(&page());
    let package = |folder: &str, name: &str, uses: &[&str]| {
        let dependencies: Vec<_> = uses.iter().map(|name| serde_json::json!({ "name": name, "kind": "dev" })).collect();
        let manifest_path = format!("/x/crates/{folder}/Cargo.toml");
        serde_json::json!({ "name": name, "manifest_path": manifest_path, "dependencies": dependencies })
    };
    let packages = [
        package("wire", "sanswarm-wire", &["sanswarm-yamux", "bytes"]),
        package("yamux", "sanswarm-yamux", &["sanswarm-wire", "sanswarm-noise"]),
        package("noise", "sanswarm-noise", &["sanswarm-wire"]),
        package("node", "sanswarm", &["sanswarm-noise"]),
        package("swarm", "sanswarm-swarm", &["sanswarm"]),
        package("shed", "sanswarm-shed", &[]),
    ];
    let found = faults(&house, &serde_json::json!({ "packages": packages }));
    assert_eq!(found, ["wire uses yamux", "yamux uses noise", "swarm uses node", "shed is not in the table"]);
}
