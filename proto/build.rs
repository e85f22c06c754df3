//! Compiles the .proto files with a pure-Rust compiler: no protoc needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=parallax");
    let descriptors = protox::compile(
        ["parallax/v1/ingest.proto", "parallax/v1/enrolment.proto"],
        ["."],
    )?;
    tonic_prost_build::configure()
        .build_transport(true)
        .compile_fds(descriptors)?;
    Ok(())
}
