//! The README shows programs that are in the repository, word for word.

use std::{fs, path::Path};

#[test]
fn the_readme_shows_the_examples_as_they_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| fs::read_to_string(root.join(path)).expect(path);
    let readme = read("README.md");
    for example in ["crates/tokio/examples/echo.rs", "crates/std/examples/echo.rs"] {
        let text = read(example);
        let (_, program) = text.split_once("\n\n").expect("a line of documentation, then the program");
        assert!(readme.contains(program.trim_end()), "README.md shows {example} as it was");
    }
    for command in ["cargo run --release -p sanswarm-cli -- demo", "cargo test --workspace"] {
        assert!(readme.contains(command), "{command}");
    }
    assert!(!readme.contains('@'), "a placeholder is left");
}
