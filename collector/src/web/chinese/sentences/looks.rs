//! What a RST looks like.

use super::Sentence;

pub(super) const ALL: &[Sentence] = &[
    (
        "at {} the RST has come {} (TTL {}), other packets from the {} {} (TTL {})",
        "在{0}，这个 RST 已走过 {1}（TTL {2}），而来自{3}的其他报文走过 {4}（TTL {5}）",
    ),
    (
        "at {} the RST and all packets from the {} have an initial TTL ({}): their agreement says little",
        "在{0}，这个 RST 与来自{1}的所有报文都是初始 TTL（{2}）：一致说明不了多少",
    ),
    (
        "at {} the RST has come {} (TTL {}), like other packets from the {}",
        "在{0}，这个 RST 已走过 {1}（TTL {2}），与来自{3}的其他报文相同",
    ),
    (
        "its window {} goes on from the {}'s last, {}: a live socket resets like that",
        "其窗口 {0} 与{1}上次的 {2} 相续：活动的套接字正是这样重置的",
    ),
    (
        "its window {} is far above what the {} ever told ({})",
        "其窗口 {0} 远大于{1}曾通告的（{2}）",
    ),
    (
        "its don't-fragment bit and DSCP are none that the {}'s other packets have",
        "其 DF 位与 DSCP 都与{0}的其他报文不同",
    ),
    (
        "its don't-fragment bit is none that the {}'s other packets have",
        "其 DF 位与{0}的其他报文不同",
    ),
    (
        "its DSCP {} is none that this connection's other packets have",
        "其 DSCP {0} 与本连接的其他报文不同",
    ),
    (
        "the RST acknowledges a segment only {} after it passed {}; the {} never answered in less than {}",
        "这个 RST 在报文段经过{1}之后仅 {0} 就确认了它；而{2}从未在 {3} 之内应答过",
    ),
    (
        "its number {} is none that the {} would use: it had come to {}",
        "其序列号 {0} 不是{1}会用的：它已到 {2}",
    ),
    (
        "it acknowledges {}, less than the {} had before ({})",
        "它确认到 {0}，少于{1}此前确认的（{2}）",
    ),
    (
        "it acknowledges {}, but its receiver had sent only up to {}",
        "它确认到 {0}，而接收方只发送到 {1}",
    ),
    (
        "its IP ID {} goes on from the {}'s counter, which stood at {}",
        "其 IP 标识 {0} 与{1}的计数器相续，该计数器当时为 {2}",
    ),
    (
        "its IP ID {} is far from the {}'s counter, which stood at {}",
        "其 IP 标识 {0} 与{1}的计数器相差很远，该计数器当时为 {2}",
    ),
    (
        "its TCP timestamp {} does not run with the {}'s clock, which showed {} before",
        "其 TCP 时间戳 {0} 与{1}的时钟不符，该时钟此前为 {2}",
    ),
    (
        "its TCP timestamp {} runs with the {}'s clock",
        "其 TCP 时间戳 {0} 与{1}的时钟相符",
    ),
    (
        "it looks like {}; honest hosts send the same, so this weighs nothing",
        "它看起来像：{0}；真实主机也会这样发送，所以没有分量",
    ),
    ("it looks like {}", "它看起来像：{0}"),
];
