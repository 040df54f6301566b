import ArgumentParser
import Foundation

/// `pangate status`: how a running gateway does.
struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show how a running gateway does: nodes, queues, radio.",
    discussion: """
      EXAMPLES
        pangate status --config /etc/pangate/gateway.yaml
        pangate status --control /run/pangate/control --watch
        pangate status --control /run/pangate/control --json

      \(Exit.help)
      """)

  @OptionGroup var control: ControlOption
  @Flag(help: "Show it again every second, until interrupted.") var watch = false
  @Flag(help: "As JSON, one object a line.") var json = false

  func run() throws {
    let path = try control.path()
    repeat {
      guard case .status(let status) = try ControlClient.ask(.status, at: path) else { return }
      let clear = watch && !json ? "\u{1b}[H\u{1b}[2J" : ""
      try FileHandle.standardOutput.write(
        contentsOf: Data((clear + (json ? JSONOutput.line(status) : status.text) + "\n").utf8))
      if watch { Thread.sleep(forTimeInterval: 1) }
    } while watch
  }
}

/// Where the gateway's control socket is.
struct ControlOption: ParsableArguments {
  @Option(help: "The gateway's control socket.") var control: String?
  @Option(help: "The gateway's configuration, which names the control socket.") var config: String?

  func path() throws -> String {
    if let control { return control }
    guard let config else { throw Failure.usage("give --control PATH, or --config FILE with 'control' in it") }
    guard let path = try GatewayConfiguration.load(config).service.control else {
      throw Failure.cannotStart("\(config): has no 'control'; add it and restart the gateway, or give --control PATH")
    }
    return path
  }
}
