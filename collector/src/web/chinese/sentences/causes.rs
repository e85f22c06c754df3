//! Causes, and what a RST brought about.

use super::Sentence;

pub(super) const ALL: &[Sentence] = &[
    // Causes.
    (
        "nothing had passed for {} before {}, {}",
        "在{1}之前 {0} 没有任何报文经过，{2}",
    ),
    (
        "nothing had passed for {} before {}",
        "在{1}之前 {0} 没有任何报文经过",
    ),
    ("the segment that provoked it", "触发它的报文段"),
    ("the reset", "这个重置"),
    (
        "without knowing who sent it, its cause stays open",
        "不知道是谁发出的，其原因就无法确定",
    ),
    ("consistent with {}", "符合 {0}"),
    (
        "a burst of resets at {} sequence numbers races the real segments, spread as known injectors spread them",
        "一串在 {0} 个序列号上的重置与真实报文段赛跑，其分布与已知注入器相同",
    ),
    (
        "a burst of resets at {} sequence numbers races the real segments",
        "一串在 {0} 个序列号上的重置与真实报文段赛跑",
    ),
    (
        "its sequence number is none that the sender would have used, and the connection lived on: it was guessed",
        "其序列号不是发送方会用的，而连接继续存在：它是猜测的",
    ),
    (
        "none of {} sequence numbers is one that the sender would have used: they were guessed",
        "{0} 个序列号中没有一个是发送方会用的：它们是猜测的",
    ),
    (
        "the {} offered the connection and reset it when the handshake was completed: its accept queue was full",
        "{0}接受了连接，却在握手完成时将其重置：其接受队列已满",
    ),
    (
        "the {} refused the SYN although {} accepted another connection {} away from it",
        "{0}拒绝了这个 SYN，而 {1} 在相隔 {2} 时接受了另一个连接",
    ),
    (
        "the {} answered the SYN with RST, and no connection to {} was accepted around then",
        "{0}以 RST 应答 SYN，当时前后没有到 {1} 的连接被接受",
    ),
    (
        "the same ports were closed {} before, and the new SYN's number {} is not above the old connection's last, {}",
        "相同的端口在 {0} 之前关闭，而新 SYN 的序列号 {1} 不大于旧连接的最后一个 {2}",
    ),
    (
        "a SYN came within a connection on the same ports, in which the {} had spoken {} before",
        "在相同端口的连接中来了一个 SYN，{0}在 {1} 之前还在其中发送",
    ),
    (
        "the SYN+ACK acknowledges {}, which the {} never sent",
        "SYN+ACK 确认了 {0}，而{1}从未发送过它",
    ),
    (
        "the {} answered the SYN+ACK with RST: of its parallel SYNs it kept the one to port {}",
        "{0}以 RST 应答 SYN+ACK：在并行的 SYN 中它保留了到端口 {1} 的那个",
    ),
    (
        "the {} answered the SYN+ACK with RST: it has no socket for this connection, or no longer wants it (parallel attempts, a half-open scan)",
        "{0}以 RST 应答 SYN+ACK：它没有这个连接的套接字，或不再需要它（并行尝试、半开扫描）",
    ),
    (
        "an ACK of {} answered the SYN with number {}: the peer holds an older connection on these ports",
        "序列号为 {1} 的 SYN 得到的应答是对 {0} 的确认：对端在这些端口上还有旧连接",
    ),
    (
        "{} after its RST the {}'s own TCP sent more of the same connection ({}): the host's firewall reset it, not its TCP",
        "RST 之后 {0}，{1}自己的 TCP 仍在同一连接上发送（{2}）：重置它的是主机的防火墙，而不是其 TCP",
    ),
    (
        "a reset {} before had already ended the connection at the {}; what came later found no socket",
        "{0} 之前的一个重置已在{1}结束了连接；后来的报文找不到套接字",
    ),
    (
        "the {} had closed {} before; this segment came too late",
        "{0}在 {1} 之前已关闭；这个报文段来得太晚",
    ),
    (
        "a SYN came within the {}'s established connection",
        "在{0}已建立的连接中来了一个 SYN",
    ),
    (
        "a segment acknowledges {}, but the {} had sent only up to {}",
        "一个报文段确认到 {0}，而{1}只发送到 {2}",
    ),
    (
        "the {} has no socket for this segment, after {} of silence: it restarted, or had given the connection up",
        "静默 {1} 之后，{0}没有这个报文段的套接字：它重启过，或已放弃连接",
    ),
    (
        "the {} has no socket for this segment: it restarted, or had given the connection up",
        "{0}没有这个报文段的套接字：它重启过，或已放弃连接",
    ),
    (
        "the {} closed with received data unread, as far as the wire tells",
        "就线路上所见，{0}在收到的数据未读完时关闭",
    ),
    (
        "the {}'s program threw the connection away (SO_LINGER 0); nothing shows unread data",
        "{0}的程序直接丢弃了连接（SO_LINGER 0）；没有迹象表明有未读数据",
    ),
    (
        "the {} sent the same segment ({}) {} times without an answer, then gave up",
        "{0}把同一报文段（{1}）发送了 {2} 次而无应答，然后放弃",
    ),
    (
        "the {} sent its {} {} times without an answer, then gave up",
        "{0}把它的 {1} 发送了 {2} 次而无应答，然后放弃",
    ),
    (
        "{} keep-alive probes of the {} stayed unanswered, then it gave up",
        "{1}的 {0} 个保活探测没有应答，然后它放弃",
    ),
    (
        "it answers a SYN in the server's name",
        "它以服务器的名义应答 SYN",
    ),
    (
        "it was forged on the path; nothing more specific can be said",
        "它在路径上被伪造；无法说得更具体",
    ),
    (
        "{} got it unasked after {} of silence, as from a box whose idle time was over",
        "静默 {1} 之后{0}无缘由地收到它，正如来自空闲时间已到的设备",
    ),
    (
        "the other end was reset too, {} {}, from the same place",
        "另一端也被重置，相隔 {0}（{1}），来自同一位置",
    ),
    (
        "it answers the first segment after {} of silence: the box had forgotten the connection",
        "它应答静默 {0} 之后的第一个报文段：设备已忘记这个连接",
    ),
    (
        "it came {} after a particular payload segment ({}), which never got past the same place",
        "它在某个数据报文段（{1}）之后 {0} 出现，而该报文段从未通过同一位置",
    ),
    (
        "it came {} after a particular payload segment ({})",
        "它在某个数据报文段（{1}）之后 {0} 出现",
    ),
    (
        "the {} is a proxy: its other connection carries the same {} ({}), and was reset {} before",
        "{0}是代理：其另一连接承载相同的 {1}（{2}），并在 {3} 之前被重置",
    ),
    ("before", "之前"),
    ("after", "之后"),
    ("both ends", "两端"),
    // Effect.
    (
        "{} after the RST the {} answered it with a challenge ACK (RFC 5961, 3.2): {}",
        "RST 之后 {0}，{1}以质询 ACK 应答它（RFC 5961，3.2）：{2}",
    ),
    (
        "{} after the RST the {} went on with the connection: {}",
        "RST 之后 {0}，{1}继续使用连接：{2}",
    ),
    (
        "the {} had asked for the connection, and the RST acknowledges its SYN",
        "{0}请求了连接，而这个 RST 确认了它的 SYN",
    ),
    (
        "the {} had asked for the connection with number {}; a RST that acknowledges {} says nothing to it",
        "{0}以序列号 {1} 请求了连接；确认 {2} 的 RST 对它没有意义",
    ),
    (
        "the {} had only asked for the connection, and ignores a RST without ACK then",
        "{0}只是请求了连接，此时会忽略没有 ACK 的 RST",
    ),
    (
        "its number {} is exactly the one that the {} awaited",
        "其序列号 {0} 正是{1}所等待的",
    ),
    (
        "its number {} is below {}, which the {} awaited: it is ignored",
        "其序列号 {0} 小于{2}所等待的 {1}：它被忽略",
    ),
    (
        "its number {} is beyond the window of the {}, who awaited {}: it is ignored",
        "其序列号 {0} 超出{1}的窗口（它等待 {2}）：它被忽略",
    ),
    (
        "its number {} is not the one that the {} awaited ({}): RFC 5961 wants a challenge ACK, older stacks accept it within the window",
        "其序列号 {0} 不是{1}所等待的（{2}）：RFC 5961 要求质询 ACK，较旧的协议栈在窗口内会接受它",
    ),
];
