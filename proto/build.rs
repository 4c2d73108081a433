//! Turns `schema/warren.proto` into Rust, with no `protoc` to install.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=schema/warren.proto");
    let files = protox::compile(["schema/warren.proto"], ["schema"])?;
    prost_build::Config::new().compile_fds(files)?;
    Ok(())
}
