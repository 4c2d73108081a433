//! Turns `schema/` into Rust, with no `protoc` to install.

/// What messages know each other by: one package, in files by subject.
const SCHEMA: [&str; 3] = [
    "schema/money.proto",
    "schema/route.proto",
    "schema/warren.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in SCHEMA {
        println!("cargo::rerun-if-changed={file}");
    }
    let files = protox::compile(SCHEMA, ["schema"])?;
    prost_build::Config::new().compile_fds(files)?;
    Ok(())
}
