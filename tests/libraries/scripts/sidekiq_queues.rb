# Sidekiq under a test's control: jobs, its own counters, and processes; the same lines of JSON as talk.py understands.
# Argument: the Redis URL.
require "json"

ENV["REDIS_URL"] = ARGV.fetch(0)
require_relative "sidekiq_app"
require "sidekiq/api"

DEEDS = {
  # A job, for now or for `due` in epoch seconds.
  "enqueue" => lambda do |said|
    to = Hold.set(queue: said["queue"])
    said["due"] ? to.perform_at(said["due"], said["name"]) : to.perform_async(said["name"])
  end,
  # What Sidekiq itself counts.
  "counts" => lambda do |said|
    queue = Sidekiq::Queue.new(said["queue"])
    first = queue.to_a.last
    {
      "size" => queue.size,
      "first_at" => first && first["enqueued_at"],
      "busy" => Sidekiq::ProcessSet.new(false).sum { |process| process["busy"] },
      "scheduled" => Sidekiq::ScheduledSet.new.size,
      "retries" => Sidekiq::RetrySet.new.size
    }
  end,
  # Start a process that takes these queues; gives its pid.
  "work" => lambda do |said|
    arguments = ["-r", File.join(__dir__, "sidekiq_app.rb"), "-c", said.fetch("concurrency", 1).to_s]
    said["queues"].each { |queue| arguments += ["-q", queue] }
    PROCESSES << spawn({"DYNO" => said["host"]}, "sidekiq", *arguments, in: File::NULL, out: File::NULL, err: File::NULL)
    PROCESSES.last
  end,
  "tell" => lambda { |said| Process.kill(said["how"], said["pid"]) && nil },
  "ended" => lambda do |said|
    _, status = Process.wait2(said["pid"], Process::WNOHANG)
    status && (status.exitstatus || status.termsig).to_s
  end
}
PROCESSES = []

at_exit do
  PROCESSES.each do |pid|
    Process.kill("KILL", pid)
  rescue Errno::ESRCH
    nil
  end
end

$stdin.each_line do |line|
  said = JSON.parse(line)
  answer = begin
    {"gives" => DEEDS.fetch(said["do"]).call(said)}
  rescue => error
    {"failed" => error.full_message}
  end
  $stdout.puts(JSON.generate(answer))
  $stdout.flush
end
