#![no_main]
libfuzzer_sys::fuzz_target!(|octets: &[u8]| parallax_tests::fuzz::decode_any(octets));
