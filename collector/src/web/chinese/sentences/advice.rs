//! What would decide it, and the sentence of a root.

use super::Sentence;

pub(super) const ALL: &[Sentence] = &[
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
];
