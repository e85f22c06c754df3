//! Compiles the .proto files with a pure-Rust compiler: no protoc needed.

use std::path::PathBuf;

use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=parallax");
    let files = [
        "parallax/v1/ingest.proto",
        "parallax/v1/enrolment.proto",
        "parallax/v1/query.proto",
    ];
    let descriptors = protox::compile(files, ["."])?;
    // What reflection serves; the generator does not write it.
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_transport(true)
        .compile_fds(descriptors)?;
    Ok(())
}
