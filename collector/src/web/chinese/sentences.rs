//! The sentences, longest and most particular first.

/// English, `{}` for what changes, and Chinese, `{0}` for what stood in the first gap.
pub const SENTENCES: &[(&str, &str)] = &[
    // Words.
    ("client", "客户端"),
    ("server", "服务器"),
    ("the client", "客户端"),
    ("the server", "服务器"),
    ("the client's", "客户端的"),
    ("the server's", "服务器的"),
    ("1 hop", "1 跳"),
    // Where it was seen, and where not.
    (
        "going from the {} the RST was first seen at {} (TTL {}), then at {}",
        "从{0}出发，这个 RST 首先在{1}出现（TTL {2}），随后是{3}",
    ),
    (
        "going from the {} the RST was first seen at {} (TTL {})",
        "从{0}出发，这个 RST 首先在{1}出现（TTL {2}）",
    ),
    (
        "{} did not see the RST and would have: it was capturing at that moment without loss, and {}",
        "{0}没有见到这个 RST，而它本应见到：当时它正在抓包且没有丢包，{1}",
    ),
    (
        "{} did not see the RST and would have: it was capturing at that moment, and {}",
        "{0}没有见到这个 RST，而它本应见到：当时它正在抓包，{1}",
    ),
    (
        "{}; asked for all that it remembers of the connection around that moment, it had no RST{}",
        "{0}；向它查询当时前后记得的该连接的全部报文，其中没有 RST{1}",
    ),
    (
        "{}; but {} around then, so its silence weighs less",
        "{0}；但当时前后{1}，所以它的沉默分量较轻",
    ),
    (
        "; but {} around then, so its silence weighs less",
        "；但当时前后{0}，所以它的沉默分量较轻",
    ),
    (
        "it recorded this connection's packets from the {}",
        "它记录了本连接来自{0}的报文",
    ),
    (
        "it recorded other connections' packets from the {} to the {}",
        "它记录了其他连接从{0}到{1}的报文",
    ),
    ("it runs on that host", "它就在那台主机上"),
    ("the configured path passes it", "所配置的路径经过它"),
    (
        "{} runs on the {}'s host and saw the RST leave it",
        "{0}运行在{1}的主机上，并看到这个 RST 从主机发出",
    ),
    (
        "{} runs on the {}'s host, yet the RST came in from outside",
        "{0}运行在{1}的主机上，而这个 RST 却从外部进入",
    ),
    (
        "the RST was last seen at {} and never came to {}, which would have seen it: it was lost or dropped between them",
        "这个 RST 最后在{0}被见到，从未到达本应见到它的{1}：它在两者之间丢失或被丢弃",
    ),
    ("{} says nothing about it: {}", "{0}对此不说明什么：{1}"),
    (
        "at {} the RST came from the link-layer address {}, none of the {}'s other packets did",
        "在{0}，这个 RST 来自链路层地址 {1}，而{2}的其他报文都不来自那里",
    ),
    (
        "{} after the RST the {} sent more of the same connection ({}), as if it knew of no RST",
        "RST 之后 {0}，{1}仍在同一连接上发送（{2}），仿佛不知道有 RST",
    ),
    // Why a silence says nothing.
    ("it has no coverage of that time", "它没有覆盖那段时间"),
    ("it began to capture later", "它后来才开始抓包"),
    (
        "its coverage ends {} before; nothing shows that it was still capturing",
        "它的覆盖在 {0} 之前结束，没有迹象表明它当时仍在抓包",
    ),
    ("it was not capturing at that moment", "它当时没有在抓包"),
    (
        "it was losing packets ({} dropped around then)",
        "它当时正在丢包（前后丢弃 {0} 个）",
    ),
    (
        "it recorded only {} of {} packets that must have passed it",
        "必定经过它的 {1} 个报文中，它只记录了 {0} 个",
    ),
    (
        "it shows only the other direction of this connection",
        "它只显示本连接的另一个方向",
    ),
    (
        "it was seen before and after it, so this vantage missed it",
        "它的前后都见到了，所以是这个观测点漏掉了",
    ),
    (
        "it recorded what may be this under another name, which nothing links for certain",
        "它以另一名称记录的可能就是它，但无法确切关联",
    ),
    (
        "nothing says that this connection passes it",
        "没有迹象表明本连接经过它",
    ),
    ("{} around then ({} lost)", "当时前后{0}（丢失 {1} 个）"),
    ("{} around then", "当时前后{0}"),
    (
        "its kernel dropped packets for want of buffer",
        "其内核因缓冲区不足而丢包",
    ),
    (
        "its interface dropped packets or was down",
        "其网卡丢包或曾断开",
    ),
    ("its agent could not keep up", "其代理处理不及"),
    (
        "its spool was full while the collector was away",
        "采集器不在时其缓存已满",
    ),
    (
        "a part of its spool could not be read back",
        "其缓存有一部分无法读回",
    ),
    (
        "its agent was killed and started again",
        "其代理被终止后重新启动",
    ),
    ("its clock was stepped", "其时钟被调整"),
    (
        "its capture filter leaves packets out",
        "其抓包过滤器漏掉报文",
    ),
    (
        "it ships only some segments (RSTs always)",
        "它只上送部分报文段（RST 总是上送）",
    ),
    (
        "it shows only one direction of connections",
        "它只显示连接的一个方向",
    ),
    (
        "it captures outside the host's firewall: what that drops is seen coming in and not going out",
        "它在主机防火墙之外抓包：被丢弃的只见其入，不见其出",
    ),
    (
        "it met packets that may have been TCP and could not be read",
        "它遇到可能是 TCP 而无法解读的报文",
    ),
    // Looks.
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
    // Names and numbers.
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
    // The kernel.
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
    // What would decide it.
    (
        "more packets at {}, or a live agent there, which counts its losses: the RST looks like the {}'s own, and so short a record may have missed it",
        "在{0}需要更多报文，或一个统计丢包的在线代理：这个 RST 像是{1}自己的，而这么短的记录可能漏掉它",
    ),
    (
        "a vantage on the {}'s own interface, in its network namespace: it tells whether the host's packet filter made the RST, whose looks it has",
        "在{0}自己的接口上、其网络命名空间内设观测点：它能说明这个 RST 是否由主机的包过滤器产生，它具有其特征",
    ),
    (
        "what on the {}'s host sends packets past its TCP, by a raw socket for instance: the RST left the host's own interface",
        "查明{0}的主机上是什么绕过其 TCP 发送报文（例如原始套接字）：这个 RST 离开了主机自己的接口",
    ),
    (
        "a host vantage (with the kernel witness) on the {} {}, watching while it happens: {}",
        "在{0} {1} 上设主机观测点（带内核见证），在事情发生时观测：{2}",
    ),
    (
        "a hop vantage between the {} and {}, on each way into the network: {}",
        "在{0}与{1}之间、进入网络的每条路上设途经观测点：{2}",
    ),
    (
        "a hop vantage between {} and {}: of {}, {}",
        "在{0}与{1}之间设途经观测点：关于{2}，{3}",
    ),
    (
        "a vantage on the {}'s host {}, watching while it happens",
        "在{0}的主机 {1} 上设观测点，在事情发生时观测",
    ),
    (
        "repair {}, or give it the kernel witness, whose word does not hang on the capture: {}",
        "修复{0}，或给它内核见证（其证词不依赖抓包）：{1}",
    ),
    ("repair {}: {}", "修复{0}：{1}"),
    ("{} seeing both directions: {}", "让{0}看到两个方向：{1}"),
    (
        "{} recording the connection from its handshake on: {}",
        "让{0}从握手起记录连接：{1}",
    ),
    (
        "{} capturing this connection without loss at that moment",
        "让{0}在当时无丢包地抓取本连接",
    ),
    ("{} capturing at that moment: {}", "让{0}在当时抓包：{1}"),
    (
        "{} alone cannot tell what the {} sent from what was forged before it",
        "仅凭{0}无法区分{1}发出的与在它之前伪造的",
    ),
    (
        "nothing between the {} and {} says whether the RST passed there",
        "在{0}与{1}之间没有什么能说明这个 RST 是否经过",
    ),
    (
        "the forged RSTs come in before {}, nothing tells where",
        "伪造的 RST 在{0}之前进入，无从得知在何处",
    ),
    (
        "its record is too short to be sure that it would have seen the RST",
        "它的记录太短，无法确定它会见到这个 RST",
    ),
    // A root's sentence.
    (
        "The RST from {} to {} was sent by the {} itself{} (confidence {}).",
        "从 {0} 到 {1} 的 RST 由{2}自己发出{3}（置信度 {4}）。",
    ),
    (
        "The RST from {} to {} was forged by a middlebox between {} and {}: {} (confidence {}).",
        "从 {0} 到 {1} 的 RST 由{2}与{3}之间的中间盒伪造：{4}（置信度 {5}）。",
    ),
    (
        "The RST from {} to {} was forged by a middlebox between {} and {} (confidence {}).",
        "从 {0} 到 {1} 的 RST 由{2}与{3}之间的中间盒伪造（置信度 {4}）。",
    ),
    (
        "The RST from {} to {} was forged by a middlebox before {}, seen from its claimed sender{} (confidence {}).",
        "从 {0} 到 {1} 的 RST 由{2}之前（从所称发送方看）的中间盒伪造{3}（置信度 {4}）。",
    ),
    (
        "The RST from {} to {} was forged by a middlebox beyond {} (confidence {}).",
        "从 {0} 到 {1} 的 RST 由{2}之外的中间盒伪造（置信度 {3}）。",
    ),
    (
        "The RST from {} to {} has an origin that this evidence does not settle{} (confidence {}).",
        "从 {0} 到 {1} 的 RST 来源无法由现有证据确定{2}（置信度 {3}）。",
    ),
    (
        "{}; it was lost between {} and {}",
        "{0}；它在{1}与{2}之间丢失",
    ),
    ("; it was lost between {} and {}", "；它在{0}与{1}之间丢失"),
    (": {}", "：{0}"),
    ("nothing listens on that port", "该端口无程序监听"),
    ("its listener is overloaded", "其监听队列过载"),
    ("it refused the SYN+ACK", "它拒绝了 SYN+ACK"),
    (
        "it retransmitted one segment too often without an answer",
        "它多次重传同一报文段而无应答",
    ),
    (
        "its keep-alive probes stayed unanswered",
        "它的保活探测没有应答",
    ),
    (
        "its program closed with received data unread",
        "其程序在数据未读完时关闭",
    ),
    ("its program aborted the connection", "其程序直接丢弃了连接"),
    ("it knew no such connection any more", "它已不认识这个连接"),
    (
        "the ports of a closed connection were used again too early",
        "已关闭连接的端口过早被再次使用",
    ),
    (
        "it received a segment that does not belong to the connection",
        "它收到了不属于该连接的报文段",
    ),
    (
        "a firewall rejects this connection request",
        "防火墙拒绝这个连接请求",
    ),
    ("a firewall rejects what was sent", "防火墙拒绝所发送的内容"),
    (
        "a firewall had forgotten the idle connection",
        "防火墙已忘记这个空闲连接",
    ),
    ("both ends were reset", "连接两端都被重置"),
    (
        "a burst of guesses around the stream",
        "围绕数据流的一串猜测",
    ),
    (
        "a blind attack with guessed numbers",
        "以猜测序列号进行的盲攻击",
    ),
    (
        "the host's own firewall rejected it",
        "由主机自己的防火墙拒绝",
    ),
    (
        "a proxy passed on a reset from its other side",
        "代理转发了另一侧连接的重置",
    ),
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
