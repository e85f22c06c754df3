//! Losses, as vantages tell them; and what goes last: names in quotes, and lists.

use super::Sentence;

pub(super) const ALL: &[Sentence] = &[
    // Losses, as vantages tell them.
    (
        "{}: {} packets lost, {} times",
        "{0}：丢失 {1} 个报文，共 {2} 次",
    ),
    ("{}: {} packets lost", "{0}：丢失 {1} 个报文"),
    (
        "{}: {} packets that may have mattered, {} times",
        "{0}：可能有关的报文 {1} 个，共 {2} 次",
    ),
    (
        "{}: {} packets that may have mattered",
        "{0}：可能有关的报文 {1} 个",
    ),
    (
        "{}: {} digests far from any RST lost, {} times",
        "{0}：丢失远离 RST 的摘要 {1} 个，共 {2} 次",
    ),
    (
        "{}: {} digests far from any RST lost",
        "{0}：丢失远离 RST 的摘要 {1} 个",
    ),
    (
        "{}: {} digests around RSTs lost, {} times",
        "{0}：丢失 RST 前后的摘要 {1} 个，共 {2} 次",
    ),
    (
        "{}: {} digests around RSTs lost",
        "{0}：丢失 RST 前后的摘要 {1} 个",
    ),
    (
        "{}: {} RSTs lost, {} times",
        "{0}：丢失 RST {1} 个，共 {2} 次",
    ),
    ("{}: {} RSTs lost", "{0}：丢失 RST {1} 个"),
    (
        "its capture filter leaves packets out ({})",
        "其抓包过滤器漏掉报文（{0}）",
    ),
    // Where it goes last: names in quotes, and lists.
    ("\"{}\", {}", "“{0}”、{1}"),
    ("\"{}\"", "“{0}”"),
    ("{} hops", "{0} 跳"),
];
