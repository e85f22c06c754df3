//! Names and numbers of a connection.

use super::Sentence;

pub(super) const ALL: &[Sentence] = &[
    (
        "between {} and {} sequence numbers are rewritten, {}",
        "在{0}与{1}之间序列号被改写：{2}",
    ),
    (
        "between {} and {} {} becomes {}",
        "在{0}与{1}之间，{2} 变为 {3}",
    ),
    (
        "more than one connection at {} could be this one, so none was taken for it",
        "在{0}有不止一个连接可能是它，所以一个也没有采用",
    ),
    (
        "the names are one connection: both initial sequence numbers agree",
        "这些名称是同一个连接：两个初始序列号都一致",
    ),
    (
        "the names are one connection: its opening agrees in what a translator leaves alone, and no other's does",
        "这些名称是同一个连接：其握手在地址转换不改动之处一致，且没有别的连接如此",
    ),
    (
        "the names are one connection, as far as its reset tells: number and one end agree, and no other's do",
        "就重置所示，这些名称是同一个连接：序列号与一端一致，且没有别的连接如此",
    ),
    (
        "the names are one connection: it was met in mid-stream, and its payload and timestamps agree",
        "这些名称是同一个连接：它在中途被观测到，其数据与时间戳一致",
    ),
    (
        "{}, but not in SACK blocks, which then name octets that were never sent",
        "{0}，但 SACK 块没有改写，于是其中提到从未发送的字节",
    ),
    ("{}, in SACK blocks too", "{0}，SACK 块中也是"),
    ("{} and the server's by {}", "{0}，服务器的相差 {1}"),
    ("the client's by {}", "客户端的相差 {0}"),
    ("the server's by {}", "服务器的相差 {0}"),
];
