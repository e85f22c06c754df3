//! What kernels say.

use super::Sentence;

pub(super) const ALL: &[Sentence] = &[
    (
        "the kernel under {} did not send it by its TCP, yet it left the host's own interface in answer to the segment before, as the host's packet filter rejects",
        "{0}之下的内核没有由其 TCP 发出它，而它作为对前一报文段的应答离开了主机自己的接口，正如主机的包过滤器拒绝时那样",
    ),
    (
        "the kernel under {} did not send it: its tcp:tcp_send_reset was heard without loss at that moment and said nothing of it",
        "{0}之下的内核没有发出它：当时对其 tcp:tcp_send_reset 的监听没有丢失，而其中没有它",
    ),
    (
        "the kernel under {} says that {} (tcp:tcp_send_reset)",
        "{0}之下的内核表明：{1}（tcp:tcp_send_reset）",
    ),
    (
        "the kernel under {} accepted it {} (tcp:tcp_receive_reset)",
        "{0}之下的内核{1}接受了它（tcp:tcp_receive_reset）",
    ),
    ("{} for the reason {}", "{0}，原因是 {1}"),
    ("{}, in answer to a segment", "{0}（应答一个报文段）"),
    ("{}, of its own accord", "{0}（主动发出）"),
    ("{} after it came there", "在它到达之后 {0}"),
    ("at that moment", "当时"),
    (
        "the listening socket at port {} refused a segment at that moment",
        "端口 {0} 的监听套接字当时拒绝了一个报文段",
    ),
    ("its TCP sent it", "其 TCP 发出了它"),
    (
        "the host's packet filter rejects that segment; its TCP sent no RST",
        "主机的包过滤器拒绝了该报文段；其 TCP 没有发送 RST",
    ),
    (
        "the kernel found no socket that listens for this SYN",
        "内核没有找到为这个 SYN 监听的套接字",
    ),
    (
        "the kernel found no socket for this segment",
        "内核没有找到这个报文段的套接字",
    ),
    (
        "the kernel still held the closed connection in TIME_WAIT",
        "内核仍把已关闭的连接保持在 TIME_WAIT",
    ),
    (
        "the connection was closed and in TIME_WAIT; the segment came too late",
        "连接已关闭并处于 TIME_WAIT；报文段来得太晚",
    ),
    (
        "the program closed with received data unread, says its kernel",
        "据其内核，程序在收到的数据未读完时关闭",
    ),
    (
        "data came after the program had closed, and nobody can read it any more",
        "程序关闭之后又来了数据，已无人可读",
    ),
    (
        "the program threw the connection away (SO_LINGER 0), says its kernel",
        "据其内核，程序直接丢弃了连接（SO_LINGER 0）",
    ),
    (
        "the program threw the connection away, says its kernel",
        "据其内核，程序直接丢弃了连接",
    ),
    (
        "keep-alive probes stayed unanswered, says the kernel",
        "据内核，保活探测没有应答",
    ),
    (
        "the kernel had no memory left for the connection, or too many without a program",
        "内核没有内存留给这个连接，或无程序的连接过多",
    ),
    (
        "the kernel found the segment unacceptable in the connection's state",
        "内核认为报文段在连接的当前状态下不可接受",
    ),
    (
        "the RST carries a reason, {}: its sender's claim",
        "这个 RST 带有原因 {0}：发送方自称",
    ),
    (
        "the RST carries a reason, {}: the forger's claim",
        "这个 RST 带有原因 {0}：伪造者自称",
    ),
    (
        "the RST carries a reason, {}: a claim of whoever made it, which can be forged with it",
        "这个 RST 带有原因 {0}：制造者自称，可与它一同伪造",
    ),
];
