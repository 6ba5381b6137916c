# The jobs of Sidekiq that tests let go one by one.
require "sidekiq"

Sidekiq.configure_server { |config| config.redis = {url: ENV.fetch("REDIS_URL")} }
Sidekiq.configure_client { |config| config.redis = {url: ENV.fetch("REDIS_URL")} }

if Sidekiq.server?
  Sidekiq::Launcher.send(:remove_const, :BEAT_PAUSE)
  Sidekiq::Launcher::BEAT_PAUSE = 0.2 # seconds from one heartbeat to the next, else 5
end

class Hold
  include Sidekiq::Job
  sidekiq_options retry: 3
  sidekiq_retry_in { 3600 }

  def perform(name)
    client = Redis.new(url: ENV.fetch("REDIS_URL"), timeout: 60)
    client.rpush("started", name)
    _, said = client.blpop("release:#{name}", timeout: 50)
    raise name if said == "retry"
  end
end
